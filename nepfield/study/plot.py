"""What `nepfield plot` draws: a run or a sweep, into its folder, a file, or a window."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from nepfield.errors import InputError
from nepfield.files import check_within, replacing
from nepfield.learning.state import HISTORY
from nepfield.study.run.folder import FRAMES, SUMMARY, write_summary
from nepfield.study.systems.systems import study_class


def draw(
    folder: Path, output: Path | None, field: str | None, interactive: bool = False
) -> list[Path]:
    """Draw a run or a sweep.

    Parameters
    ----------
    folder : Path
        Folder of a run, or of a sweep (with results.csv).
    output : Path or None
        New file to write: .png, and of a run .gif (its training) or .html (to turn and zoom). By
        default all pictures go into the folder ``figures``.
    field : str or None
        Which picture, or which column of the results.
    interactive : bool
        Open a window instead.

    Returns
    -------
    list of Path
        The pictures written where the user may not expect them.

    Raises
    ------
    InputError
        If there is nothing to draw, or the file may not be written.
    PicturesUnavailable
        If this machine cannot render.
    """
    _check_drawn(folder)
    # slow to import: PyVista and Matplotlib
    if (folder / "results.csv").is_file():
        return [_draw_sweep(folder, output, field, interactive)]
    complete_old(folder)
    if interactive:
        from nepfield.view.render import interactive as open_window

        open_window(folder)
        return []
    check_new_file(output, (".png", ".gif", ".html"), "-o")
    kind = ".png" if output is None else output.suffix.lower()
    if output is None or kind == ".png":
        return _draw_pictures(folder, output, field)
    if field is not None:
        raise InputError(f"--field {field} chooses a .png picture; a {kind} shows all fields.")
    if kind == ".gif":
        from nepfield.view.animation import animate

        animate(folder, output)
    else:
        from nepfield.view.page import write_page

        write_page(folder, output)
    return []


def _check_drawn(folder: Path) -> None:
    """Refuse what is neither the folder of a run nor that of a sweep with results."""
    if not folder.exists():
        raise InputError(f"{folder}: this is no run folder; there is nothing of that name.")
    if not folder.is_dir():
        raise InputError(
            f"{folder}: this is a file; plot draws a folder that train, solve or sweep wrote, such "
            "as runs/NAME."
        )
    if (folder / "cases.json").is_file() and not (folder / "results.csv").is_file():
        raise InputError(f"{folder}: this sweep has no results.csv yet; go on with --resume.")
    if (folder.parent / "cases.json").is_file():
        raise InputError(
            f"{folder}: this is a part of a sweep; give {folder.parent}, or one folder in "
            f"{folder.parent}/cases."
        )


def _draw_pictures(run: Path, output: Path | None, field: str | None) -> list[Path]:
    from nepfield.study.run.jobs import draw_run
    from nepfield.view.records import read_summary
    from nepfield.view.render import picture_names

    if not (run / "fields.vtu").is_file():
        raise InputError(f"{run}: this is no run folder with fields (fields.vtu is missing).")
    if field is not None:
        trained = ["training"] if (run / HISTORY).is_file() else []
        classes = ["confusion"] if read_summary(run).get("confusion") else []
        _check_field(field, [*trained, "outputs", *classes, *picture_names(run)])
    drawn = draw_run(run)
    by_name = {path.stem: path for path in drawn}
    if field is not None:
        _check_field(field, list(by_name))  # outputs of many inputs are not drawn
    if output is None:
        return drawn if field is None else [by_name[field]]
    if field is None:
        first = next(iter(picture_names(run)), None)
        field = next(name for name in (first, *by_name) if name in by_name)
    with replacing(output) as part:
        shutil.copyfile(by_name[field], part)
    return []


def _check_field(field: str, known: list[str]) -> None:
    if field not in known:
        raise InputError(f"--field {field}: this run has {', '.join(known)}.")


def _draw_sweep(sweep: Path, output: Path | None, field: str | None, interactive: bool) -> Path:
    if interactive:
        raise InputError(f"{sweep}: --interactive shows a run; give a folder in cases/.")
    if output is not None and output.suffix.lower() in (".gif", ".html"):
        raise InputError(
            f"{output}: {output.suffix} shows a run; give a folder in {sweep}/cases/, or a .png."
        )
    check_new_file(output, (".png",), "-o")
    check_within(sweep / "figures")
    from nepfield.view.sheets import plot_sheet, sheet_names
    from nepfield.view.sweeps import plot_sweep, read_results

    if field is None or field in read_results(sweep)[0].columns:
        return plot_sweep(sweep, output, field or "cost")
    for case in sorted(sweep.glob("cases/*/fields.vtu")):
        complete_old(case.parent)
    pictures = sheet_names(sweep)
    if field in pictures:
        return plot_sheet(sweep, output, field)
    try:
        return plot_sweep(sweep, output, field)
    except InputError as error:  # it tells the columns
        shown = f"; its cases show {', '.join(pictures)}." if pictures else "."
        raise InputError(str(error).removesuffix(".") + shown) from None


def check_new_file(path: Path | None, suffixes: tuple[str, ...], option: str) -> None:
    """Refuse the name of a file to write before anything is computed for it.

    Raises
    ------
    InputError
        If it has another suffix, exists, or has no folder.
    """
    if path is None:
        return
    if path.suffix.lower() not in suffixes:
        known = " and ".join(", ".join(suffixes).rsplit(", ", 1))
        film = "; for a film choose .gif" if path.suffix.lower() in (".mp4", ".avi") else ""
        raise InputError(f"{path}: {option} writes {known} files only; choose such a name{film}.")
    if os.path.lexists(path):  # also a link that leads nowhere
        raise InputError(f"{path}: this file exists already; give {option} the name of a new one.")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it first.")


def complete_old(run: Path) -> None:
    """Let the summary of a run of version 0.1 say what its fields, marks and columns are.

    Its system's study knows them. A run that was broken off and has no summary gets frames.json.
    """
    from nepfield.view.records import read_study, read_summary
    from nepfield.view.runs import open_run

    summary, study = read_summary(run), read_study(run)
    if "fields" in summary or not study:
        return
    files = [run / "fields.vtu", *sorted((run / "frames").glob("epoch-*.vtu"))]
    file = next((path for path in files if path.is_file()), None)
    if file is None:
        return
    grid = open_run(run, str(file.relative_to(run)))
    arrays = {name: grid[name] for name in grid.array_names}
    said = study_class(study, run).describe_old(study, arrays, summary)
    path = run / (SUMMARY if summary else FRAMES)
    write_summary(path, summary | said)

"""What `nepfield plot` draws: a run or a sweep, into its folder, a file, or a window."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from nepfield.errors import InputError
from nepfield.files import check_within, make_within
from nepfield.study.run.folder import FRAMES, SUMMARY, write_summary
from nepfield.study.systems.systems import study_class


def draw(
    folder: Path,
    output: Path | None,
    field: str | None,
    interactive: bool = False,
    *,
    samples: Sequence[int] | None = None,
    log: bool = False,
) -> list[Path]:
    """Draw a run or a sweep.

    Parameters
    ----------
    folder : Path
        Folder of a run, or of a sweep (with results.csv).
    output : Path or None
        New file to write: .png, .pdf or .svg, and of a run .gif (its training) or .html (to turn
        and zoom). By default all pictures go into the folder ``figures``.
    field : str or None
        Which picture, or which column of the results.
    interactive : bool
        Open a window instead.
    samples : sequence of int, optional
        Of a run the samples to draw; by default the first eight.
    log : bool
        Of a run: logarithmic colours and axes for intensities.

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
        if samples is not None or log:
            raise InputError("--samples and --log go with a run; give a folder in cases/.")
        return [_draw_sweep(folder, output, field, interactive)]
    complete_old(folder)
    if interactive:
        from nepfield.view.render import interactive as open_window

        open_window(folder)
        return []
    from nepfield.view.curves import FORMATS

    check_new_file(output, (*FORMATS, ".gif", ".html"), "-o")
    kind = ".png" if output is None else output.suffix.lower()
    if output is None or kind in FORMATS:
        return _draw_pictures(folder, output, field, samples, log)
    if samples is not None or log:
        raise InputError(f"--samples and --log go with a picture, not with {kind}.")
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


def _draw_pictures(
    run: Path,
    output: Path | None,
    field: str | None,
    samples: Sequence[int] | None,
    log: bool,
) -> list[Path]:
    from nepfield.study.run.jobs import draw_run
    from nepfield.view.curves import save_figure
    from nepfield.view.look import run_figure
    from nepfield.view.render import picture_names

    if not (run / "fields.vtu").is_file():
        raise InputError(f"{run}: this is no run folder with fields (fields.vtu is missing).")
    if output is None and field is None and samples is None and not log:
        return draw_run(run)
    wanted = [field]
    if output is None and field is None:
        wanted = list(picture_names(run))
    written = []
    for name in wanted:
        drawn, figure, maps = run_figure(run, name, samples, log)
        if output is None:
            make_within(run / "figures")
        written.append(save_figure(figure, output or run / "figures" / f"{drawn}.png", maps))
    return written if output is None else []


def _draw_sweep(sweep: Path, output: Path | None, field: str | None, interactive: bool) -> Path:
    if interactive:
        raise InputError(f"{sweep}: --interactive shows a run; give a folder in cases/.")
    if output is not None and output.suffix.lower() in (".gif", ".html"):
        raise InputError(
            f"{output}: {output.suffix} shows a run; give a folder in {sweep}/cases/, or a .png, "
            ".pdf or .svg."
        )
    from nepfield.view.curves import FORMATS

    check_new_file(output, FORMATS, "-o")
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


def read_samples(text: str | None) -> list[int] | None:
    """The samples of a list such as "3" or "0,8-15".

    Raises
    ------
    InputError
        If it is no such list.
    """
    if text is None:
        return None
    found: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part)
        first, last = (0, -1) if match is None else (int(match[1]), int(match[2] or match[1]))
        if not first <= last < first + 10000:
            raise InputError(
                f"--samples {text}: give numbers from 0, such as 3 or 0,8-15 (from-to)."
            )
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


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
    from nepfield.view.runs import read_grid

    summary, study = read_summary(run), read_study(run)
    if "fields" in summary or not study:
        return
    files = [run / "fields.vtu", *sorted((run / "frames").glob("epoch-*.vtu"))]
    file = next((path for path in files if path.is_file()), None)
    if file is None:
        return
    grid = read_grid(run, str(file.relative_to(run)))
    arrays = {name: grid[name] for name in grid.array_names}
    said = study_class(study, run).describe_old(study, arrays, summary)
    path = run / (SUMMARY if summary else FRAMES)
    write_summary(path, summary | said)

"""Can this machine render? VTK without OpenGL may end the process, so another one is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

_PROBE = """
import pyvista
plotter = pyvista.Plotter(off_screen=True, window_size=(64, 64))
plotter.add_mesh(pyvista.Sphere(), color="red")
image = plotter.screenshot(None, return_img=True)
raise SystemExit(0 if image.std() > 1 else "the picture is blank")
"""


class PicturesUnavailable(RuntimeError):
    """This machine cannot render; the message says which package to install."""


def opengl_problem() -> str | None:
    """Why fields cannot be rendered here and which package to install, or None if they can.

    VTK without OpenGL may end the process, so a tiny picture is tried in a process of its own; the
    answer is kept for the life of this process.
    """
    return probe()[1]


@lru_cache(maxsize=1)
def probe() -> tuple[str | None, str | None]:
    """(kind of window to ask VTK for, problem)."""
    # EGL needs no display: asked for first, VTK does not complain about a missing X server.
    kinds: list[str | None] = ["vtkEGLRenderWindow", None] if sys.platform == "linux" else [None]
    if os.environ.get("VTK_DEFAULT_OPENGL_WINDOW"):
        kinds = [None]
    reason = ""
    for kind in kinds:
        with render_window(kind):
            try:
                done = subprocess.run(
                    [sys.executable, "-c", _PROBE],
                    capture_output=True, text=True, errors="replace", timeout=120, check=False,
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired) as error:
                reason = f"a trial picture failed: {error}"
                continue
        if done.returncode == 0:
            return kind, None
        lines = done.stderr.strip().splitlines()
        if lines and "No module named" in lines[-1]:
            return None, (
                f"Pictures of fields need PyVista ({lines[-1]}). Install it: pip install pyvista"
            )
        reason = f"a trial picture ended with exit status {done.returncode}"
        if done.returncode > 0 and lines:
            reason += f", {lines[-1][:200]}"
    return None, (
        f"Pictures of fields need OpenGL, which does not work here ({reason}). Install it "
        "(Debian, Ubuntu: apt-get install libgl1 libegl1 libxrender1; "
        "Fedora: dnf install mesa-libGL mesa-libEGL libXrender; "
        "conda: conda install -c conda-forge mesalib)"
    )


@contextmanager
def render_window(kind: str | None) -> Iterator[None]:
    """Ask VTK for a kind of render window; None leaves the choice to VTK."""
    name = "VTK_DEFAULT_OPENGL_WINDOW"
    before = os.environ.get(name)
    if kind is not None:
        os.environ[name] = kind
    try:
        yield
    finally:
        if kind is not None:
            os.environ.pop(name)
            if before is not None:
                os.environ[name] = before

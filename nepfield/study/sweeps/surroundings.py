"""What a sweep needs around it, said before workers are started and not by how they fail."""

from __future__ import annotations

import ast
import re
import resource
import socket
import sys
from pathlib import Path
from types import FrameType

from nepfield.errors import InputError

_SCHEMES = ("tcp", "tls", "ws", "wss", "ucx", "inproc")
_HANDLES, _OF_A_WORKER = 64, 12  # open files of the command itself, and for each worker


def check_guard() -> None:
    """Refuse a script that would start the sweep again in each worker, which imports the script.

    Raises
    ------
    InputError
        If the script that is run calls from outside of ``if __name__ == "__main__":``.
    """
    main = sys.modules["__main__"].__dict__
    frame: FrameType | None = sys._getframe()
    while frame is not None and not (
        frame.f_globals is main and frame.f_code.co_name == "<module>"
    ):
        frame = frame.f_back
    path = main.get("__file__")
    if frame is None or path is None:  # a notebook, or what is typed in: workers import nothing
        return
    try:
        statements = ast.parse(Path(path).read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return
    before = [node for node in statements if node.lineno <= frame.f_lineno]
    tests = [name for node in before if isinstance(node, ast.If) for name in ast.walk(node.test)]
    if not any(isinstance(name, ast.Name) and name.id == "__name__" for name in tests):
        raise InputError(
            f"{path}: line {frame.f_lineno} starts workers, and each of them imports this script "
            'and would start them again; put what is to run below: if __name__ == "__main__":'
        )


def check_address(scheduler: str) -> None:
    """Refuse at once what cannot be the address of a scheduler.

    Raises
    ------
    InputError
        If it has another form, or there is no such host.
    """
    found = re.fullmatch(r"(?:(\w+)://)?(\[[^\]]+\]|[^:/\s]+):(\d{1,5})/?", scheduler)
    if found is None or not 0 < int(found[3]) < 2**16 or found[1] not in (None, *_SCHEMES):
        why = "it is no host with a port"
    else:
        try:
            socket.getaddrinfo(found[2].strip("[]"), int(found[3]))
            return
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or str(error)
    raise InputError(
        f"--scheduler {scheduler}: cannot be reached ({why}); wanted an address such as "
        "tcp://127.0.0.1:8786, as dask scheduler prints it."
    )


def provide_handles(workers: int) -> None:
    """Let this process have as many open files as its workers need.

    Raises
    ------
    InputError
        If the system does not let it.
    """
    need = _HANDLES + _OF_A_WORKER * workers
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= need:
        return
    if hard != resource.RLIM_INFINITY and hard < need:
        most = (hard - _HANDLES) // _OF_A_WORKER
        fewer = f", or give --workers {most}" if most > 0 else ""
        raise InputError(
            f"a sweep with {workers} workers needs {need} open files, and the limit here is {hard}:"
            f" raise it (ulimit -n {need}){fewer}."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))

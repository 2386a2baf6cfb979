"""How a command ends: errors that a user can mend become a message and an exit status."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from nepfield.errors import InputError
from nepfield.steady.steady import NotConverged

EXIT_INPUT = 2
EXIT_NOT_CONVERGED = 3
EXIT_NO_PICTURES = 4
EXIT_INTERRUPTED = 130


def told(error: OSError) -> str:
    """What is wrong with which file."""
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{error.strerror or error}"


@contextmanager
def errors(quiet: bool = False) -> Iterator[None]:
    """Errors that a user can mend end with their message and an exit status, not a traceback."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if not quiet:
            typer.echo(f"warning: {message}", err=True)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = show
            yield
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(EXIT_INPUT) from None
    except OSError as error:
        if error.errno == errno.EPIPE:  # who reads the output has had enough
            raise
        typer.echo(f"error: {told(error)}", err=True)
        raise typer.Exit(EXIT_INPUT) from None
    except MemoryError as error:
        typer.echo(f"error: there is too little memory: {error}", err=True)
        raise typer.Exit(EXIT_INPUT) from None
    except NotConverged as error:
        typer.echo(f"not converged: {error}", err=True)
        raise typer.Exit(EXIT_NOT_CONVERGED) from None
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except RuntimeError as error:
        if type(error).__name__ != "PicturesUnavailable":
            raise
        typer.echo(f"no pictures of fields: {error}", err=True)
        raise typer.Exit(EXIT_NO_PICTURES) from None

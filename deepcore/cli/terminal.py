"""What the commands share: how errors end, and how sizes are written on the command line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import NoReturn

import typer

MISUSE = 2
INTERRUPTED = 130


def fail(message: object, code: int = MISUSE) -> NoReturn:
    """Prints ``message`` on stderr, without a traceback, and ends the command."""
    typer.secho("Error: ", fg=typer.colors.RED, bold=True, err=True, nl=False)
    typer.echo(str(message), err=True)
    raise typer.Exit(code)


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Within the block, an error about what the user asked for ends the command with its sentence alone."""
    try:
        yield
    except (ValueError, TypeError, OSError) as problem:
        fail(problem)
    except RuntimeError as problem:
        from deepcore.errors import DeviceUnavailableError

        if not isinstance(problem, DeviceUnavailableError):
            raise
        fail(problem)


def shape(text: str) -> tuple[int, ...]:
    """A shape as it is written on the command line.

    >>> shape("32x224x224x3"), shape("10")
    ((32, 224, 224, 3), (10,))
    """
    if not re.fullmatch(r"\d+(x\d+)*", text):
        raise ValueError(f"{text!r} is not a shape. Write sizes with an x between them, such as 32x224x224x3.")
    return tuple(int(size) for size in text.split("x"))


def pair(text: str, name: str) -> int | tuple[int, ...]:
    """One size for both axes, or height x width.

    >>> pair("2", "--strides"), pair("2x1", "--strides")
    (2, (2, 1))
    """
    if not re.fullmatch(r"\d+(x\d+)?", text):
        raise ValueError(f"{name} {text!r} is neither one size nor height x width. Write 2 or 2x1.")
    sizes = shape(text)
    return sizes[0] if len(sizes) == 1 else sizes

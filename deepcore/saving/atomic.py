"""Files that are whole or not there: written beside the old one, which they replace at the end."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file, open for writing and reading, that becomes ``path`` when the block ends.

    Where the block raises, or the disk is full, the new file is removed and what was at ``path`` stays as it was.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    beside = _beside(target)
    try:
        with open(beside, "x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, beside)
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike[str], holding: frozenset[str]) -> Iterator[Path]:
    """A new folder that becomes ``path`` when the block ends.

    Raises ``ValueError`` if something is at ``path`` that is not a folder of files named in ``holding``.
    """
    target = Path(os.path.realpath(path))
    if target.exists():
        others = (
            sorted(entry.name for entry in target.iterdir() if entry.name not in holding) if target.is_dir() else []
        )
        if not target.is_dir() or others:
            found = f"holds {', '.join(others[:5])}" if others else "is a file"
            raise ValueError(f"A model's folder would replace {str(path)!r}, which {found}. Give another path.")
    beside, old = _beside(target), _beside(target)
    beside.mkdir(parents=True)
    try:
        yield beside
        for file in beside.rglob("*"):
            if file.is_file():
                with open(file, "rb") as written:
                    os.fsync(written.fileno())
        if target.exists():
            os.rename(target, old)
        try:
            os.rename(beside, target)
        except BaseException:
            if old.exists():
                os.rename(old, target)
            raise
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)
    _sync_folder(target.parent)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")


def _sync_folder(folder: Path) -> None:
    """Makes the new name last, on systems where a folder can be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

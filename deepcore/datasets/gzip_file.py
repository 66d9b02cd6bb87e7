"""Files that may or may not be gzipped, told apart by their first bytes and not by their names."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from deepcore.errors import CorruptedFileError

GZIP_MAGIC = b"\x1f\x8b"


def is_gzipped(path: Path) -> bool:
    """Whether the file begins as a gzip file does (RFC 1952)."""
    with open(path, "rb") as file:
        return file.read(len(GZIP_MAGIC)) == GZIP_MAGIC


@contextmanager
def open_gzip_or_plain(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, decompressed where it is gzipped.

    Raises:
        CorruptedFileError: The compressed data, read inside the ``with``, are damaged or end too soon.
    """
    try:
        with gzip.open(path, "rb") if is_gzipped(path) else open(path, "rb") as file:
            yield cast(BinaryIO, file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptedFileError(f"{path} cannot be decompressed: {error}. Get the file again.") from error

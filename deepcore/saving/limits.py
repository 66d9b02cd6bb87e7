"""What a file may be: the limits that keep a small file from filling memory or disk, and the errors that say so."""

from __future__ import annotations

import binascii
import contextlib
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from deepcore.errors import CorruptedFileError

# Files of models are written uncompressed, so what unpacks to much more than it takes on disk was made to do harm.
# Below the floor there is nothing to gain from it.
FLOOR_BYTES = 1 << 28
LARGEST_EXPANSION = 100
LARGEST_EXPANSION_OF_ARRAYS = 1000  # zeros, well compressed
LARGEST_CONFIG_BYTES = 1 << 27


def refuse_bomb(what: str, declared: int, stored: int, expansion: int = LARGEST_EXPANSION) -> None:
    """Raises ``ValueError`` if ``declared`` bytes are far more than the ``stored`` ones can hold."""
    if declared > FLOOR_BYTES and declared > expansion * max(stored, 1):
        raise ValueError(
            f"{what} is refused: it says that it holds {declared:,} bytes, and takes {stored:,} in the file. "
            "No model is written like that: it is a decompression bomb, or a shape bomb."
        )


@contextlib.contextmanager
def reading(path: Any) -> Iterator[None]:
    """Errors of broken files within the block become ``CorruptedFileError``, which name ``path``."""
    try:
        yield
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError):
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        binascii.Error,
        struct.error,
        json.JSONDecodeError,
        UnicodeError,
        RecursionError,
        EOFError,
        OSError,
        NotImplementedError,
    ) as error:
        said = str(error) or type(error).__name__
        raise CorruptedFileError(
            f"{path} cannot be read: it is cut off, damaged, or not a file of this kind ({said}). "
            "Get the file again, or save it again."
        ) from error

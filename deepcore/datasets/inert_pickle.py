"""Pickles read without doing what they say: for files that others published.

A pickle is a program; ``pickle.load`` runs it, and it may call anything. Here every name that it looks up gives a
``Record`` that only notes what it is called with, and a name other than those of arrays is refused. So nothing is
executed, whatever the file holds; lists, dictionaries, strings and numbers come out as they are.
"""

from __future__ import annotations

import ast
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.errors import CorruptedFileError

NAMES = (
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.ndarray",
    "numpy.dtype",
    "_codecs.encode",  # of the letter that stands for an array's first dtype, in pickles of protocol 2
)


class Record:
    """What a pickle wanted to call and with what: kept, never called."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: tuple[Any, ...] = ()) -> None:
        self.name, self.arguments = name, arguments
        self.state: Any = None

    def __call__(self, *arguments: object) -> Record:
        return Record(self.name, arguments)

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _InertUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Record:
        if f"{module}.{name}" not in NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, and may name only {', '.join(NAMES)}")
        return Record(f"{module}.{name}")


def read_inert(content: bytes, encoding: str = "ASCII") -> Any:
    """What a pickle holds, with a ``Record`` for each array. Raises ``pickle.UnpicklingError`` for other names."""
    return _InertUnpickler(io.BytesIO(content), encoding=encoding).load()


def read_ragged_npz(path: Path, names: tuple[str, ...]) -> list[Any]:
    """The named arrays of an ``.npz`` file: lists of lists of integers where the file has objects.

    Raises ``CorruptedFileError`` if the file is damaged, lacks a name, or holds anything but integers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [_rows(archive.read(f"{name}.npy")) for name in names]
    # A damaged zip file, header or pickle can raise almost anything.
    except Exception as error:
        raise CorruptedFileError(
            f"{path} cannot be read as an .npz file with {', '.join(names)}: {error!r}. Nothing was executed."
        ) from error


def _rows(content: bytes) -> Any:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    size = int.from_bytes(file.read(2 if version == (1, 0) else 4), "little")
    header = ast.literal_eval(file.read(size).decode("latin1"))
    if "O" not in header["descr"]:
        return np.load(io.BytesIO(content), allow_pickle=False)
    _, shape, dtype, _, rows = read_inert(content[file.tell() :], encoding="latin1").state
    if dtype.name != "numpy.dtype" or dtype.arguments[0] != "O8" or len(shape) != 1 or len(rows) != shape[0]:
        raise ValueError(f"expected a list of sequences, got an array of shape {shape}")
    for row in rows:
        if type(row) is not list or not all(type(number) is int for number in row):
            raise ValueError("a sequence is not a list of integers")
    return rows

"""Arrays in the safetensors format, named like the datasets of ``hdf5``: ``layers/dense/vars/0``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from deepcore.errors import CorruptedFileError


class Writer:
    """Gathers arrays, and writes them when it is closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._arrays: dict[str, np.ndarray[Any, Any]] = {}

    def entry(self, path: str, name: str | None) -> WrittenEntry:
        """Where the arrays of the layer at ``path`` go."""
        return WrittenEntry(self._arrays, _prefix(path))

    def close(self) -> None:
        from safetensors.numpy import save

        self._file.write(save(self._arrays, metadata={"format": "keras"}))


class WrittenEntry:
    """The arrays of one layer, which are assigned by text."""

    def __init__(self, arrays: dict[str, np.ndarray[Any, Any]], prefix: str) -> None:
        self._arrays, self._prefix = arrays, prefix

    def __setitem__(self, key: str, value: Any) -> None:
        array = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
        self._arrays[self._prefix + key] = np.ascontiguousarray(array).reshape(array.shape)


class Reader:
    """Reads what ``Writer`` wrote, each array when it is asked for."""

    def __init__(self, path: str | Path) -> None:
        from safetensors import SafetensorError, safe_open

        opened: Any = safe_open
        try:
            self._open = opened(str(path), framework="numpy")
        except SafetensorError as error:
            raise CorruptedFileError(
                f"{path} cannot be read: it is cut off, damaged, or not a file of this kind ({error})."
            ) from error
        self._file: Any = self._open.__enter__()
        self._names = set(self._file.keys())

    def close(self) -> None:
        self._open.__exit__(None, None, None)

    def paths(self) -> dict[str, int]:
        """Where arrays are, and how many."""
        return dict(Counter(_path(name) for name in self._names))

    def entry(self, path: str) -> ReadEntry:
        """The arrays of the layer at ``path``."""
        prefix = _prefix(path)
        names = {name[len(prefix) :]: name for name in self._names if _path(name) == path}
        return ReadEntry(self._file, names)


class ReadEntry:
    """The arrays of one layer by text."""

    def __init__(self, file: Any, names: dict[str, str]) -> None:
        self._file, self._names = file, names

    def keys(self) -> list[str]:
        return list(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, key: object) -> bool:
        return key in self._names

    def shape(self, key: str) -> tuple[int, ...]:
        """The shape of an array, without reading it."""
        return tuple(self._file.get_slice(self._names[key]).get_shape())

    def __getitem__(self, key: str) -> np.ndarray[Any, Any]:
        return np.asarray(self._file.get_tensor(self._names[key]))


def _prefix(path: str) -> str:
    return f"{path}/vars/" if path else "vars/"


def _path(name: str) -> str:
    return name.rpartition("/")[0].removesuffix("vars").removesuffix("/")

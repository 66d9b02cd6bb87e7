"""Arrays in HDF5, as Keras 3 lays them out: a group ``<path>/vars`` for each layer, with datasets ``0``, ``1``, ..."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from deepcore.errors import CorruptedFileError
from deepcore.saving.limits import LARGEST_EXPANSION_OF_ARRAYS, refuse_bomb

# Filters that come with HDF5: deflate, shuffle, Fletcher's checksum, szip, nbit, scale-offset, and h5py's LZF. Another
# one would be loaded from a library on disk.
_FILTERS = {1, 2, 3, 4, 5, 6, 32000}
_DEEPEST = 64


class Writer:
    """Writes groups of arrays into a new HDF5 file, opened for writing and reading."""

    def __init__(self, file: BinaryIO) -> None:
        import h5py

        self._file = h5py.File(file, "w")

    def entry(self, path: str, name: str | None) -> WrittenEntry:
        """Where the arrays of the layer at ``path`` go; ``name`` is kept beside them."""
        return WrittenEntry(self._file, f"{path}/vars" if path else "vars", name)

    def close(self) -> None:
        self._file.close()


class WrittenEntry:
    """The arrays of one layer, which are assigned by text: ``entry["0"] = array``."""

    def __init__(self, file: Any, path: str, name: str | None) -> None:
        self._file, self._path = file, path
        if name is not None:
            file.require_group(path).attrs["name"] = name

    def __setitem__(self, key: str, value: Any) -> None:
        array = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
        self._file.require_group(self._path).create_dataset(key, data=array)


class Reader:
    """Reads what ``Writer`` wrote. Raises ``ValueError`` for links, and for arrays in other files."""

    def __init__(self, file: Any) -> None:
        import h5py

        self._file = h5py.File(file, "r")

    def close(self) -> None:
        self._file.close()

    def paths(self) -> dict[str, int]:
        """Where arrays are, and how many."""
        found: dict[str, int] = {}
        for path, group in _groups(self._file, "", 0):
            head, _, last = path.rpartition("/")
            if last == "vars" and len(group):
                found[head] = len(group)
        return found

    def entry(self, path: str) -> ReadEntry:
        """The arrays of the layer at ``path``; none if there is no such group."""
        import h5py

        group = self._file
        for part in (*path.split("/"), "vars") if path else ("vars",):
            if part not in group:
                return ReadEntry(None, path)
            group = child(group, part, h5py.Group)
        return ReadEntry(group, path)


class ReadEntry:
    """The arrays of one layer by text, read when they are asked for."""

    def __init__(self, group: Any, path: str) -> None:
        self._group, self._path = group, path

    def keys(self) -> list[str]:
        return [] if self._group is None else list(self._group)

    def __len__(self) -> int:
        return len(self.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: object) -> bool:
        return self._group is not None and isinstance(key, str) and key in self._group

    def shape(self, key: str) -> tuple[int, ...]:
        """The shape of an array, without reading it."""
        return tuple(self._dataset(key).shape)

    def __getitem__(self, key: str) -> np.ndarray[Any, Any]:
        return read(self._dataset(key))

    def _dataset(self, key: str) -> Any:
        if key not in self:
            raise KeyError(f"{self._path or 'the model'} has no array {key!r} in the file.")
        return dataset(self._group, key)


def child(group: Any, name: str, kind: type) -> Any:
    """What is called ``name`` in ``group``, or ``a/b`` in groups within.

    Raises ``ValueError`` for a link on the way, for what is missing, and for another kind of thing.
    """
    import h5py

    *groups, name = name.split("/")
    for part in groups:
        group = child(group, part, h5py.Group)
    link = group.get(name, getlink=True) if name not in ("", ".") else None
    if link is None:
        raise CorruptedFileError(f"{group.name} in the HDF5 file has no {name!r}.")
    if not isinstance(link, h5py.HardLink):
        raise ValueError(
            f"{name!r} in the HDF5 file is of the kind {type(link).__name__}, which may lead anywhere; it is refused."
        )
    found = group[name]
    if not isinstance(found, kind):
        raise CorruptedFileError(f"{name!r} in the HDF5 file is a {type(found).__name__}, not a {kind.__name__}.")
    return found


def dataset(group: Any, name: str) -> Any:
    """The array ``name`` of ``group``, which may lie in groups within, unread.

    Raises ``ValueError`` for arrays that are elsewhere, that are not numbers, or that claim to be larger than the file.
    """
    import h5py

    found = child(group, name, h5py.Dataset)
    if found.external or found.is_virtual:
        raise ValueError(f"The array {name!r} lies in another file than this one; it is refused.")
    if found.dtype.kind not in "fiub":
        raise ValueError(f"The array {name!r} holds {found.dtype}, not numbers; it is refused.")
    properties = found.id.get_create_plist()
    filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if filters - _FILTERS:
        raise ValueError(f"The array {name!r} is packed with HDF5 filters that this library does not load: {filters}.")
    size = math.prod(found.shape) * found.dtype.itemsize
    refuse_bomb(f"The array {name!r}", size, found.id.get_storage_size(), LARGEST_EXPANSION_OF_ARRAYS)
    return found


def read(found: Any) -> np.ndarray[Any, Any]:
    """The numbers of a dataset."""
    return np.asarray(found[()])


def _groups(group: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    import h5py

    if depth > _DEEPEST:
        raise CorruptedFileError("The HDF5 file has groups within groups without end.")
    yield path, group
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.HardLink) and group.get(name, getclass=True) is h5py.Group:
            yield from _groups(group[name], f"{path}/{name}" if path else name, depth + 1)


def looks_like_keras_3(path: Path) -> bool:
    """Whether an HDF5 file has the layout of this module, and not the older one with lists of names."""
    import h5py

    with h5py.File(path, "r") as file:
        return "layer_names" not in file.attrs and "layer_names0" not in file.attrs and "model_weights" not in file

"""Files of weights alone: Keras 3's HDF5, safetensors, and the older HDF5 that is read by order or by name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepcore.saving import hdf5, legacy, safe_tensors
from deepcore.saving.atomic import replacing
from deepcore.saving.limits import reading
from deepcore.saving.state import load_state, save_state

_OLD = (".h5", ".hdf5")


def save_weights(model: Any, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Writes all weights of ``model``, and the optimizer's state.

    Args:
        model: a model that is built.
        filepath: ends in ``.weights.h5``, Keras's format, or in ``.safetensors``, with the same names.
        overwrite: whether a file that is there is replaced.

    Raises ``ValueError`` for another ending and for a model that is not built, ``FileExistsError`` without
    ``overwrite``; a save that fails leaves the old file as it was.
    """
    name = str(filepath)
    if not name.endswith((".weights.h5", ".safetensors")):
        raise ValueError(
            f"The filename must end in `.weights.h5` or `.safetensors`; got {name!r}. "
            "model.save(...) writes the whole model."
        )
    _require_built(model, "saved")
    refuse_existing(filepath, overwrite)
    with replacing(filepath) as file:
        writer = safe_tensors.Writer(file) if name.endswith(".safetensors") else hdf5.Writer(file)
        try:
            save_state(model, writer)
        finally:
            writer.close()


def load_weights(model: Any, filepath: str | os.PathLike[str], skip_mismatch: bool = False, **kwargs: Any) -> None:
    """Reads weights into ``model``, which must be built.

    Args:
        model: made as it was when the file was saved.
        filepath: ends in ``.weights.h5``, ``.safetensors``, ``.keras``, ``.h5`` or ``.hdf5``.
        skip_mismatch: whether layers that do not fit are left as they are, with a warning.
        by_name: for ``.h5`` and ``.hdf5`` in the older format: layers are found by name, not by order.

    Raises ``ValueError``, and changes nothing, for a file of another kind, and for layers that are missing or do not
    fit, which it lists; ``CorruptedFileError`` for a broken file.
    """
    name = str(filepath)
    by_name = kwargs.pop("by_name", None)
    if kwargs:
        raise ValueError(f"Invalid keyword arguments: {kwargs}; load_weights takes skip_mismatch and by_name.")
    old = name.endswith(_OLD) and not name.endswith(".weights.h5")
    if by_name is not None and not old:
        raise ValueError(
            f"by_name is for the older files that end in .h5 or .hdf5, which hold names; got filepath={name}."
        )
    if not name.endswith((".weights.h5", ".safetensors", ".keras", *_OLD)):
        raise ValueError(
            "File format not supported: weights are read from `.weights.h5`, `.safetensors`, `.keras`, and the older "
            f"`.h5` and `.hdf5`. Received: filepath={name}."
        )
    if not os.path.exists(name):
        raise FileNotFoundError(f"There is no file {name!r} to load weights from.")
    _require_built(model, "loaded")
    with reading(name):
        if name.endswith(_OLD) and not hdf5.looks_like_keras_3(Path(filepath)):
            legacy.load_weights(model, filepath, bool(by_name), skip_mismatch)
            return
        with _reader(filepath) as reader:
            load_state(model, reader, skip_mismatch=skip_mismatch)


@contextlib.contextmanager
def _reader(filepath: str | os.PathLike[str]) -> Iterator[Any]:
    name = str(filepath)
    if name.endswith(".keras"):
        from deepcore.saving.model_file import open_weights

        with open_weights(filepath) as weights:
            yield weights
        return
    reader: Any = safe_tensors.Reader(name) if name.endswith(".safetensors") else hdf5.Reader(name)
    try:
        yield reader
    finally:
        reader.close()


def refuse_existing(filepath: Any, overwrite: bool) -> None:
    """Raises ``FileExistsError`` if there is a file that must not be replaced."""
    if not overwrite and os.path.exists(filepath):
        raise FileExistsError(f"{filepath} is there already; give another name, or overwrite=True to replace it.")


def _require_built(model: Any, verb: str) -> None:
    if not model.built:
        raise ValueError(
            f"{model.name} has no weights that could be {verb}, because it is not built yet: call it on some data, "
            "or build(input_shape) it."
        )

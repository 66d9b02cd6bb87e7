"""The ``.keras`` format: a zip archive, or a folder, of config.json, metadata.json, model.weights.h5 and assets."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import shutil
import stat
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import deepcore
from deepcore import serialization
from deepcore.errors import CorruptedFileError
from deepcore.saving import hdf5, legacy
from deepcore.saving.atomic import replacing, replacing_folder
from deepcore.saving.limits import FLOOR_BYTES, LARGEST_CONFIG_BYTES, reading, refuse_bomb
from deepcore.saving.state import load_state, save_state
from deepcore.saving.weights_file import refuse_existing

CONFIG, METADATA, WEIGHTS, ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets"
FORMAT = "3.15.1"  # the version of Keras whose format this is
_OLD = (".h5", ".hdf5")
_MOST_FILES = 100_000


def save_model(model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
    """Writes a model to a file: how it is made, its weights, and how it is trained, with the optimizer's state.

    Args:
        model: the model.
        filepath: a path that ends in ``.keras``, or a file open for writing; ``.h5`` and ``.hdf5`` write the format of
            Keras 2.
        overwrite: whether what is there is replaced.
        zipped: False writes a folder.
        include_optimizer: for ``.h5``, whether to write how the model is trained.

    Raises ``ValueError`` for another ending, ``FileExistsError`` without ``overwrite``; a save that fails leaves the
    old file as it was.
    """
    include_optimizer = kwargs.pop("include_optimizer", True)
    if kwargs.pop("save_format", None) and not str(filepath).endswith((".keras", *_OLD)):
        raise ValueError(
            f"save_format is deprecated: the ending says the format, .keras or .h5; got filepath={str(filepath)!r}."
        )
    if kwargs:
        raise ValueError(f"save does not know the arguments {list(kwargs)}.")
    if not model.built:
        warnings.warn(
            f"{model.name} is saved without weights: it is not built yet. Call it on some data.", stacklevel=3
        )
    if isinstance(filepath, io.IOBase):
        _write_archive(model, filepath)  # type: ignore[arg-type]
        return
    name = str(filepath)
    zipped = True if zipped is None else zipped
    if zipped and not name.endswith((".keras", *_OLD)):
        raise ValueError(
            f"Invalid filepath extension: models are saved to *.keras, or as Keras 2 did to *.h5; got {name!r}."
        )
    if not zipped and name.endswith(".keras"):
        raise ValueError(f"With zipped=False a folder is written, whose name should not end in .keras; got {name!r}.")
    refuse_existing(filepath, overwrite)
    if not zipped:
        with replacing_folder(name, frozenset({CONFIG, METADATA, WEIGHTS, ASSETS})) as folder:
            _write_folder(model, folder)
        return
    with replacing(name) as file:
        if name.endswith(".keras"):
            _write_archive(model, file)
        else:
            legacy.save_model(model, file, include_optimizer)


def _described(model: Any) -> tuple[bytes, bytes]:
    with serialization.sharing():
        config = json.dumps(serialization.serialize(model))
    metadata = {
        "keras_version": FORMAT,
        "deepcore_version": deepcore.__version__,
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
    }
    return config.encode(), json.dumps(metadata).encode()


def _write_folder(model: Any, folder: Path) -> None:
    config, metadata = _described(model)
    (folder / CONFIG).write_bytes(config)
    (folder / METADATA).write_bytes(metadata)
    assets = folder / ASSETS
    with open(folder / WEIGHTS, "x+b") as file:
        _write_state(model, file, assets)
    if not any(assets.rglob("*")):
        shutil.rmtree(assets, ignore_errors=True)


def _write_archive(model: Any, file: BinaryIO) -> None:
    config, metadata = _described(model)
    with tempfile.TemporaryDirectory() as temporary, tempfile.TemporaryFile() as weights:
        assets = Path(temporary)
        _write_state(model, weights, assets)
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(METADATA, metadata)
            archive.writestr(CONFIG, config)
            weights.seek(0)
            with archive.open(WEIGHTS, "w", force_zip64=True) as member:
                shutil.copyfileobj(weights, member, 1 << 20)
            for part in sorted(assets.rglob("*")):
                if part.is_file():
                    archive.write(part, f"{ASSETS}/{part.relative_to(assets).as_posix()}")


def _write_state(model: Any, file: Any, assets: Path) -> None:
    writer = hdf5.Writer(file)
    try:
        save_state(model, writer, str(assets))
    finally:
        writer.close()


def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """The model of a file that ``model.save`` wrote, here or in Keras.

    Args:
        filepath: a path to a ``.keras`` file or folder, to an ``.h5`` or ``.hdf5`` file of a whole model, or a file
            open for reading.
        custom_objects: classes and functions of your own by name, unless they are registered with
            ``register_keras_serializable``.
        compile: whether the model is compiled as it was, and its optimizer goes on from where it was.
        safe_mode: whether a lambda, whose code would be run from the file, is refused. Nothing else in a file can make
            this library run, import or unpickle anything.

    Raises ``ValueError`` for what is no such file, ``CorruptedFileError`` (a ``ValueError``) for one that is damaged,
    ``TypeError`` for classes that nobody knows.
    """
    if isinstance(filepath, io.IOBase):
        with reading("The file"):
            return _load_archive(filepath, custom_objects, compile, safe_mode)
    name = str(filepath)
    if os.path.isdir(name) and os.path.exists(os.path.join(name, CONFIG)):
        with reading(name):
            return _load_folder(Path(name), custom_objects, compile, safe_mode)
    if not name.endswith((".keras", *_OLD)):
        raise ValueError(
            f"File format not supported: filepath={name}. Models are read from `.keras` files and folders, and from "
            "`.h5` and `.hdf5` files that hold a whole model."
        )
    if not os.path.isfile(name):
        raise ValueError(f"File not found: there is no file {name!r} here.")
    with reading(name):
        if not name.endswith(".keras"):
            return legacy.load_model(name, custom_objects, compile, safe_mode)
        with open(name, "rb") as file:
            return _load_archive(file, custom_objects, compile, safe_mode)


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """The model of ``model.to_json``'s text, with new weights.

    Raises ``ValueError`` for other text, ``TypeError`` for classes that nobody knows.
    """
    return serialization.deserialize(_parsed(json_string), custom_objects)


def _parsed(text: str | bytes) -> dict[str, Any]:
    config = json.loads(text)
    if not isinstance(config, dict) or "class_name" not in config:
        raise CorruptedFileError("The model's configuration does not say which class it is of.")
    return config


def _made(text: bytes, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    config = _parsed(text)
    if not compile:
        config["compile_config"] = None
    with serialization.sharing():
        return serialization.deserialize(config, custom_objects, safe_mode)


def _load_folder(folder: Path, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    model = _made((folder / CONFIG).read_bytes(), custom_objects, compile, safe_mode)
    _load_state(model, folder / WEIGHTS, str(folder / ASSETS))
    return model


def _load_archive(file: Any, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    with zipfile.ZipFile(file) as archive, tempfile.TemporaryDirectory() as folder:
        members = _checked(archive)
        missing = [name for name in (CONFIG, WEIGHTS) if name not in members]
        if missing:
            raise CorruptedFileError(f"It is no model's file: it has no {' and no '.join(missing)}.")
        if members[CONFIG].file_size > LARGEST_CONFIG_BYTES:
            raise ValueError(f"{CONFIG} says that it has {members[CONFIG].file_size:,} bytes; it is refused.")
        model = _made(archive.read(CONFIG), custom_objects, compile, safe_mode)
        for name, member in members.items():
            if name.startswith(f"{ASSETS}/") and not member.is_dir():
                target = Path(folder, *name.split("/"))
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(target, "xb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
        with _unpacked(archive, members[WEIGHTS]) as weights:
            _load_state(model, weights, os.path.join(folder, ASSETS))
    return model


def _load_state(model: Any, weights: Any, assets: str) -> None:
    reader = hdf5.Reader(weights)
    try:
        load_state(model, reader, assets)
    finally:
        reader.close()


def _checked(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The archive's members by name. Raises ``ValueError`` for names that lead elsewhere, links, and bombs."""
    infos = archive.infolist()
    members = {info.filename: info for info in infos}
    if len(members) != len(infos):
        raise CorruptedFileError("Two files in the archive have one name.")
    if len(infos) > _MOST_FILES:
        raise ValueError(f"The archive holds {len(infos):,} files, which no model has; it is refused.")
    for info in infos:
        name = info.filename
        parts = name.rstrip("/").split("/")
        if "\\" in name or ":" in name or "\0" in name or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"The archive has a file called {name!r}, which leads out of its folder; it is refused.")
        if info.flag_bits & 1:
            raise CorruptedFileError(f"{name!r} in the archive is encrypted; no model is.")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ValueError(f"{name!r} in the archive is a link; it is refused.")
        refuse_bomb(f"{name!r} in the archive", info.file_size, info.compress_size)
    refuse_bomb(
        "The archive",
        sum(info.file_size for info in infos if info.file_size <= FLOOR_BYTES),
        sum(info.compress_size for info in infos if info.file_size <= FLOOR_BYTES),
    )
    return members


@contextlib.contextmanager
def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[BinaryIO]:
    """A member as a file that HDF5 can move about in."""
    with tempfile.TemporaryFile() as copy:
        with archive.open(member) as source:
            shutil.copyfileobj(source, copy, 1 << 20)
        copy.seek(0)
        yield copy


@contextlib.contextmanager
def open_weights(filepath: Any) -> Iterator[hdf5.Reader]:
    """The weights within a ``.keras`` file."""
    with zipfile.ZipFile(filepath) as archive:
        members = _checked(archive)
        if WEIGHTS not in members:
            raise CorruptedFileError(f"It is no model's file: it has no {WEIGHTS}.")
        with _unpacked(archive, members[WEIGHTS]) as file:
            reader = hdf5.Reader(file)
            try:
                yield reader
            finally:
                reader.close()

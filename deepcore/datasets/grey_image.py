"""MNIST's two forms on disk, which Fashion-MNIST shares: Keras's ``.npz``, and four IDX files."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from deepcore.datasets.idx import read_idx
from deepcore.datasets.split import Split, check_images
from deepcore.errors import CorruptedFileError

IMAGE_SHAPE = (28, 28)
PARTS = {"train": "train", "test": "t10k"}
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def read_path(path: str | os.PathLike[str]) -> Split:
    """Read a data set of 28x28 images from where a user says it is.

    Args:
        path: An ``.npz`` file, or the folder of the four IDX files.

    Raises:
        CorruptedFileError: A file is damaged, or does not hold such images and labels.
        FileNotFoundError: A file is missing.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return read_idx_folder(path)
    if path.is_file():
        return read_npz(path)
    raise FileNotFoundError(
        f"path={str(path)!r} does not exist. Expected an .npz file with x_train, y_train, x_test and y_test, "
        "or the folder of the four IDX files."
    )


def read_npz(path: Path) -> Split:
    """Read Keras's ``.npz``: arrays ``x_train``, ``y_train``, ``x_test`` and ``y_test``; nothing is unpickled."""
    if not zipfile.is_zipfile(path):
        raise CorruptedFileError(
            f"{path} is not an .npz file, or is truncated. (For IDX files, path= is the folder that holds the four.)"
        )
    try:
        # np.load, given a name, leaves the file open when the archive is damaged.
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in ARRAYS if name in file.files}
    # A damaged zip file, or a header in it, can raise almost anything, MemoryError for an absurd shape included.
    except Exception as error:
        raise CorruptedFileError(f"{path} cannot be read as an .npz file of plain arrays: {error}") from error
    if missing := [name for name in ARRAYS if name not in arrays]:
        raise CorruptedFileError(f"{path} lacks {', '.join(missing)}; an .npz file needs {', '.join(ARRAYS)}.")
    x_train, y_train, x_test, y_test = (arrays[name] for name in ARRAYS)
    check_images(f"{path} (train)", x_train, y_train, IMAGE_SHAPE)
    check_images(f"{path} (test)", x_test, y_test, IMAGE_SHAPE)
    return (x_train, y_train), (x_test, y_test)


def read_idx_folder(folder: Path) -> Split:
    """Read the four IDX files of a folder: ``{train,t10k}-{images-idx3,labels-idx1}-ubyte``, plain or ``.gz``."""
    arrays = []
    for part, prefix in PARTS.items():
        x = read_idx(_find(folder, f"{prefix}-images", "idx3-ubyte"))
        y = read_idx(_find(folder, f"{prefix}-labels", "idx1-ubyte"))
        check_images(f"{folder} ({part})", x, y, IMAGE_SHAPE)
        arrays.append((x, y))
    return arrays[0], arrays[1]


def _find(folder: Path, stem: str, suffix: str) -> Path:
    # Some archives of these files were packed with a dot where the authors have a hyphen. The .gz comes first because
    # in the cache folder that is the file whose checksum was verified.
    names = [f"{stem}{joint}{suffix}{ending}" for ending in (".gz", "") for joint in "-."]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder} has no {stem}-{suffix}, plain or .gz. Looked for: {', '.join(names)}.")

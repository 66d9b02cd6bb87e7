"""CIFAR-10: 60,000 colour images of 32x32 pixels (Krizhevsky 2009, Learning Multiple Layers of Features)."""

from __future__ import annotations

import os
import re
import tarfile
from pathlib import Path

import numpy as np

from deepcore.datasets.cache import fetch
from deepcore.datasets.gzip_file import open_gzip_or_plain
from deepcore.datasets.inert_pickle import read_inert
from deepcore.datasets.split import Split, UInt8Array, check_images
from deepcore.errors import CorruptedFileError

FILE = "cifar-10-python.tar.gz"
# The authors' page, and the host that it forwards to.
URLS = [
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "https://cave.cs.toronto.edu/kriz/cifar-10-python.tar.gz",
]
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"

IMAGE_SHAPE = (32, 32, 3)
PIXELS = 32 * 32 * 3
BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
# A batch of 10,000 images has 31 MB; a file or tar member far above that is not one, and is not read into memory.
BATCH_LIMIT = 1 << 26


def load_data(path: str | os.PathLike[str] | None = None) -> Split:
    """Load CIFAR-10, as ``keras.datasets.cifar10.load_data`` does.

    Args:
        path: None for the cache folder, downloaded on first use; or data already on disk, in the authors' Python or
            binary version: ``cifar-10-python.tar.gz``, ``cifar-10-binary.tar.gz``, the folder ``cifar-10-batches-py``
            or ``cifar-10-batches-bin``, or a folder that holds one of these. Nothing in the Python version is executed.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 ``[50000, 32, 32, 3]`` and ``[10000, 32, 32, 3]``, red,
        green, blue, 0 to 255; labels uint8 ``[50000, 1]`` and ``[10000, 1]``: 0 airplane, 1 automobile, 2 bird, 3 cat,
        4 deer, 5 dog, 6 frog, 7 horse, 8 ship, 9 truck. Files of your own may hold any number of images.

    Raises:
        CorruptedFileError: A file is damaged, does not hold such data, or is a pickle that names anything but arrays.
        FileNotFoundError: ``path``, or one of its batches, does not exist.
        ConnectionError: The download failed.
        ImportError: A download is needed and pooch is not installed.
    """
    source = fetch(FILE, URLS, SHA256) if path is None else _find(Path(path).expanduser())
    contents = _read_folder(source) if source.is_dir() else _read_tar(source)
    images, labels = zip(
        *(_decode(f"{source}: {name}", content, name.endswith(".bin")) for name, content in contents.items()),
        strict=True,
    )
    x_train, y_train = np.concatenate(images[:-1]), np.concatenate(labels[:-1])
    return (x_train, y_train[:, None]), (images[-1], labels[-1][:, None])


def _decode(source: str, content: bytes, binary: bool) -> tuple[UInt8Array, UInt8Array]:
    """Images ``[n, 32, 32, 3]`` and labels ``[n]`` of one batch file.

    Either version holds an image as 1024 reds, then greens, then blues. The binary one is n records of a label and an
    image; the other is a pickle of a dict with ``data``, uint8 ``[n, 3072]``, and ``labels``, a list.
    """
    if binary:
        if len(content) % (1 + PIXELS):
            raise CorruptedFileError(
                f"{source} has {len(content)} bytes, which is no multiple of a record's {1 + PIXELS}. "
                "Get the file again."
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, 1 + PIXELS)
        pixels, labels = records[:, 1:], records[:, 0].copy()
    else:
        pixels, labels = _decode_pickle(source, content)
    images = np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    check_images(source, images, labels, IMAGE_SHAPE)
    return images, labels


def _decode_pickle(source: str, content: bytes) -> tuple[UInt8Array, UInt8Array]:
    try:
        batch = read_inert(content, encoding="bytes")
    # The opcodes of a damaged or hostile pickle can raise whatever the objects they meet raise.
    except Exception as error:
        raise CorruptedFileError(f"{source} is not a CIFAR-10 batch: {error!r}. Nothing was executed.") from error
    try:
        _, shape, dtype, fortran, pixels = batch[b"data"].state
        if dtype.name != "numpy.dtype" or dtype.arguments[0] != b"u1":
            raise ValueError(f"data is of dtype {dtype.arguments[0]!r}, expected b'u1'")
        data = np.frombuffer(pixels, np.uint8).reshape(shape, order="F" if fortran else "C")
        labels = batch[b"labels"]
        if data.ndim != 2 or data.shape[1] != PIXELS:
            raise ValueError(f"data is {list(data.shape)}, expected [n, {PIXELS}]")
        if type(labels) is not list or not all(type(label) is int and 0 <= label <= 9 for label in labels):
            raise ValueError("labels is not a list of integers from 0 to 9")
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise CorruptedFileError(
            f"{source} is not a CIFAR-10 batch, a dict with data uint8 [n, {PIXELS}] and labels: {error!r}."
        ) from error
    return data, np.array(labels, np.uint8)


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    if path.is_dir():
        places = [path, path / "cifar-10-batches-py", path / "cifar-10-batches-bin"]
        for place in places:
            if any((place / (name + suffix)).is_file() for name in BATCHES for suffix in ("", ".bin")):
                return place
        for archive in (path / FILE, path / "cifar-10-binary.tar.gz"):
            if archive.is_file():
                return archive
    raise FileNotFoundError(
        f"path={str(path)!r} {'holds no CIFAR-10 batch' if path.exists() else 'does not exist'}. Expected {FILE}, "
        "cifar-10-binary.tar.gz, a folder with data_batch_1 to data_batch_5 and test_batch (or these with .bin), "
        "or a folder that holds one of these."
    )


def _read_folder(folder: Path) -> dict[str, bytes]:
    files = {}
    for path in folder.iterdir():
        if path.is_file() and path.name.removesuffix(".bin") in BATCHES:
            _check_size(path, path.stat().st_size)
            files[path.name] = path.read_bytes()
    return _one_version(folder, files)


def _read_tar(path: Path) -> dict[str, bytes]:
    """Read the batches of an archive into memory; nothing of it is ever written to disk."""
    files = {}
    try:
        # In a stream the members come once, in their order, and nothing is decompressed twice.
        with open_gzip_or_plain(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = re.sub(r"^(\./)?cifar-10-batches-(py|bin)/", "", member.name)
                if name.removesuffix(".bin") in BATCHES and name != member.name and member.isfile():
                    _check_size(f"{path}: {member.name}", member.size)
                    files[name] = archive.extractfile(member).read()  # type: ignore[union-attr]
            # gzip verifies its checksum at the end of the file, which tar does not read.
            while stream.read(1 << 20):
                pass
    except tarfile.TarError as error:
        raise CorruptedFileError(f"{path} is no whole tar archive: {error}. Get the file again.") from error
    return _one_version(path, files)


def _check_size(source: object, size: int) -> None:
    if size > BATCH_LIMIT:
        raise CorruptedFileError(f"{source} has {size} bytes; a batch of CIFAR-10 has at most {BATCH_LIMIT}.")


def _one_version(source: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """The six batches of one version, in order, from what was found."""
    suffix = ".bin" if files and not any(name in files for name in BATCHES) else ""
    wanted = [name + suffix for name in BATCHES]
    if missing := [name for name in wanted if name not in files]:
        raise FileNotFoundError(f"{source} lacks {', '.join(missing)}; all of {', '.join(wanted)} are needed.")
    return {name: files[name] for name in wanted}

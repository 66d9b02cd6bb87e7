"""CIFAR-10 and CIFAR-100 in the forms that their authors give them (Krizhevsky 2009)."""

from __future__ import annotations

import os
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepcore.datasets.cache import fetch
from deepcore.datasets.gzip_file import open_gzip_or_plain
from deepcore.datasets.inert_pickle import read_inert
from deepcore.datasets.split import Split, UInt8Array, check_images
from deepcore.errors import CorruptedFileError

IMAGE_SHAPE = (32, 32, 3)
PIXELS = 32 * 32 * 3


@dataclass(frozen=True)
class Form:
    """Where the images of one of the two lie.

    Attributes:
        title: what it is called.
        archives: names of the Python and of the binary version.
        folders: within them.
        batches: the files there, the last one for tests; the binary version's end in ``.bin``.
        labels: names of the labels of an image, in the order of the binary version.
        classes: how many each of them tells apart.
        limit: bytes; a file or tar member far above its size is no batch, and is not read into memory.
    """

    title: str
    archives: tuple[str, str]
    folders: tuple[str, str]
    batches: tuple[str, ...]
    labels: tuple[bytes, ...]
    classes: tuple[int, ...]
    limit: int

    def load(self, path: str | os.PathLike[str] | None, urls: list[str], checksum: str, label: bytes) -> Split:
        """Images and the labels called ``label``; ``path`` is None for the cache folder."""
        source = fetch(self.archives[0], urls, checksum) if path is None else self._find(Path(path).expanduser())
        contents = self._read_folder(source) if source.is_dir() else self._read_tar(source)
        images, labels = zip(
            *(
                self._decode(f"{source}: {name}", content, name.endswith(".bin"), self.labels.index(label))
                for name, content in contents.items()
            ),
            strict=True,
        )
        x_train, y_train = np.concatenate(images[:-1]), np.concatenate(labels[:-1])
        return (x_train, y_train[:, None]), (images[-1], labels[-1][:, None])

    def _decode(self, source: str, content: bytes, binary: bool, which: int) -> tuple[UInt8Array, UInt8Array]:
        """Images ``[n, 32, 32, 3]`` and labels ``[n]`` of one batch file.

        Either version holds an image as 1024 reds, then greens, then blues. The binary one is n records of labels and
        an image; the other is a pickle of a dict with ``data``, uint8 ``[n, 3072]``, and a list of each kind of labels.
        """
        if binary:
            record = len(self.labels) + PIXELS
            if len(content) % record:
                raise CorruptedFileError(
                    f"{source} has {len(content)} bytes, which is no multiple of a record's {record}. "
                    "Get the file again."
                )
            records = np.frombuffer(content, np.uint8).reshape(-1, record)
            pixels, labels = records[:, -PIXELS:], records[:, which].copy()
        else:
            pixels, labels = self._decode_pickle(source, content, which)
        images = np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        check_images(source, images, labels, IMAGE_SHAPE, self.classes[which])
        return images, labels

    def _decode_pickle(self, source: str, content: bytes, which: int) -> tuple[UInt8Array, UInt8Array]:
        name, classes = self.labels[which].decode(), self.classes[which]
        try:
            batch = read_inert(content, encoding="bytes")
        # The opcodes of a damaged or hostile pickle can raise whatever the objects they meet raise.
        except Exception as error:
            raise CorruptedFileError(
                f"{source} is not a {self.title} batch: {error!r}. Nothing was executed."
            ) from error
        try:
            _, shape, dtype, fortran, pixels = batch[b"data"].state
            if dtype.name != "numpy.dtype" or dtype.arguments[0] != b"u1":
                raise ValueError(f"data is of dtype {dtype.arguments[0]!r}, expected b'u1'")
            data = np.frombuffer(pixels, np.uint8).reshape(shape, order="F" if fortran else "C")
            labels = batch[self.labels[which]]
            if data.ndim != 2 or data.shape[1] != PIXELS:
                raise ValueError(f"data is {list(data.shape)}, expected [n, {PIXELS}]")
            if type(labels) is not list or not all(type(label) is int and 0 <= label < classes for label in labels):
                raise ValueError(f"{name} is not a list of integers from 0 to {classes - 1}")
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise CorruptedFileError(
                f"{source} is not a {self.title} batch, a dict with data uint8 [n, {PIXELS}] and {name}: {error!r}."
            ) from error
        return data, np.array(labels, np.uint8)

    def _find(self, path: Path) -> Path:
        if path.is_file():
            return path
        if path.is_dir():
            places = [path, *(path / folder for folder in self.folders)]
            for place in places:
                if any((place / (name + suffix)).is_file() for name in self.batches for suffix in ("", ".bin")):
                    return place
            for archive in self.archives:
                if (path / archive).is_file():
                    return path / archive
        raise FileNotFoundError(
            f"path={str(path)!r} {f'holds no {self.title} batch' if path.exists() else 'does not exist'}. Expected "
            f"{' or '.join(self.archives)}, a folder with {', '.join(self.batches)} (or these with .bin), or a folder "
            "that holds one of these."
        )

    def _read_folder(self, folder: Path) -> dict[str, bytes]:
        files = {}
        for path in folder.iterdir():
            if path.is_file() and path.name.removesuffix(".bin") in self.batches:
                self._check_size(path, path.stat().st_size)
                files[path.name] = path.read_bytes()
        return self._one_version(folder, files)

    def _read_tar(self, path: Path) -> dict[str, bytes]:
        """Read the batches of an archive into memory; nothing of it is ever written to disk."""
        files = {}
        try:
            # In a stream the members come once, in their order, and nothing is decompressed twice.
            with open_gzip_or_plain(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    name = re.sub(rf"^(\./)?({'|'.join(self.folders)})/", "", member.name)
                    if name.removesuffix(".bin") in self.batches and name != member.name and member.isfile():
                        self._check_size(f"{path}: {member.name}", member.size)
                        files[name] = archive.extractfile(member).read()  # type: ignore[union-attr]
                # gzip verifies its checksum at the end of the file, which tar does not read.
                while stream.read(1 << 20):
                    pass
        except tarfile.TarError as error:
            raise CorruptedFileError(f"{path} is no whole tar archive: {error}. Get the file again.") from error
        return self._one_version(path, files)

    def _check_size(self, source: object, size: int) -> None:
        if size > self.limit:
            raise CorruptedFileError(f"{source} has {size} bytes; a batch of {self.title} has at most {self.limit}.")

    def _one_version(self, source: Path, files: dict[str, bytes]) -> dict[str, bytes]:
        """The batches of one version, in order, from what was found."""
        suffix = ".bin" if files and not any(name in files for name in self.batches) else ""
        wanted = [name + suffix for name in self.batches]
        if missing := [name for name in wanted if name not in files]:
            raise FileNotFoundError(f"{source} lacks {', '.join(missing)}; all of {', '.join(wanted)} are needed.")
        return {name: files[name] for name in wanted}

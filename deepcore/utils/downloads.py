"""get_file: a file of the internet in the cache folder, checked, and unpacked without leaving its own folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import urllib.error
import urllib.parse
import urllib.request
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deepcore.config import home, show
from deepcore.errors import CorruptedFileError
from deepcore.utils.progbar import Progbar

_CHUNK = 1 << 16
_TIMEOUT = 60.0  # seconds to wait for a connection, and for the next bytes of one


def get_file(
    fname: Any = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
    force_download: bool = False,
) -> str:
    """The path of the file at ``origin``, downloaded unless it is in the cache folder already.

    A file is under its final name only once it is whole, and has the hash that was given.

    Args:
        fname: its name; that in ``origin`` by default. Without a ``"."``, the folder that an archive is unpacked into.
        origin: its URL: http, https, ftp or file.
        untar: the same as ``extract=True, archive_format="tar"``.
        md5_hash: the same as ``file_hash=md5_hash, hash_algorithm="md5"``.
        file_hash: the published hash, in hexadecimal.
        cache_subdir: folder within ``cache_dir``, or an absolute path.
        hash_algorithm: ``"sha256"``, ``"md5"``, or ``"auto"``, which goes by the length.
        extract: unpack the archive, and give the path of the folder.
        archive_format: ``"tar"``, ``"zip"``, a list of these, or ``"auto"`` for both; None unpacks nothing.
        cache_dir: ``$DEEPCORE_HOME``, or ``~/.deepcore``, by default.
        force_download: download it again.

    Members of an archive that would be written outside of the folder, and links that lead there, are left out with a
    warning. Raises ``ValueError`` without an ``origin`` or a name, and for a ``fname`` that is a path;
    ``ConnectionError`` where the download fails; ``CorruptedFileError``, a ``ValueError``, for another hash.
    """
    if origin is None:
        raise ValueError("get_file needs origin, the URL of the file.")
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    given = os.fspath(fname) if fname is not None else ""
    if os.sep in given:
        raise ValueError(f"fname is a name, not a path; say where with cache_dir= and cache_subdir=. Got {fname!r}.")
    name = given or os.path.basename(urllib.parse.urlsplit(origin).path)
    if not name:
        raise ValueError(f"The URL {origin!r} names no file; give fname=.")
    folder = Path(home() if cache_dir is None else cache_dir).expanduser() / cache_subdir
    unpack = extract or untar
    unpacked, path = folder / name, folder / name
    if unpack:
        dotted = given.partition(".") if "." in given else None
        unpacked = folder / (f"{dotted[0]}_extracted" if dotted else name)
        path = folder / (given if dotted else f"{name}_archive")
    wanted = path.exists() and not force_download
    if wanted and file_hash is not None and _hash(path, file_hash, hash_algorithm) != file_hash:
        show(f"{path} has another hash than {file_hash}; it is downloaded again.")
        wanted = False
    if not wanted:
        _download(origin, path, file_hash, hash_algorithm)
    if not unpack:
        return str(path)
    if not (wanted and unpacked.is_dir()) and not _unpack(path, unpacked, _formats("tar" if untar else archive_format)):
        warnings.warn(f"{path} could not be extracted: it is no archive of the kind {archive_format!r}.", stacklevel=2)
    return str(unpacked)


def _formats(archive_format: Any) -> list[str]:
    if archive_format == "auto":
        return ["tar", "zip"]
    return [archive_format] if isinstance(archive_format, str) else list(archive_format or ())


def _hash(path: Path, expected: str, algorithm: str) -> str:
    sha256 = algorithm == "sha256" or (algorithm == "auto" and len(expected) == 64)
    digest = hashlib.sha256() if sha256 else hashlib.md5()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _download(origin: str, path: Path, file_hash: str | None, algorithm: str) -> None:
    show(f"Downloading data from {origin}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part{os.getpid()}")
    try:
        try:
            with urllib.request.urlopen(origin, timeout=_TIMEOUT) as source, open(part, "wb") as file:
                size = int(source.headers.get("Content-Length") or 0) or None
                bar, done = Progbar(size, unit_name="byte"), 0
                while chunk := source.read(_CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    bar.update(done)
            if size is not None and done != size:
                raise ConnectionError(f"{origin} ended after {done} of {size} bytes.")
        except (urllib.error.URLError, TimeoutError) as error:
            raise ConnectionError(f"URL fetch failure on {origin}: {error}") from error
        if file_hash is not None and (found := _hash(part, file_hash, algorithm)) != file_hash:
            raise CorruptedFileError(
                f"Incomplete or corrupted file detected: {origin} has the hash {found}, expected {file_hash}."
            )
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _unpack(archive: Path, folder: Path, formats: list[str]) -> bool:
    """Unpacks into ``folder``, in place of what is there; False if it is no archive of these formats."""
    openers: dict[str, tuple[Callable[[Path], bool], Callable[[Path, Path], None]]] = {
        "tar": (tarfile.is_tarfile, _unpack_tar),
        "zip": (zipfile.is_zipfile, _unpack_zip),
    }
    for name in formats:
        if name not in openers:
            raise NotImplementedError(f"archive_format must be 'tar', 'zip', 'auto' or None; got {name!r}.")
        matches, unpack = openers[name]
        if not matches(archive):
            continue
        part = folder.with_name(f"{folder.name}.part{os.getpid()}")
        try:
            part.mkdir(parents=True)
            unpack(archive, part)
            if folder.is_dir():
                shutil.rmtree(folder)
            part.rename(folder)
        finally:
            if part.exists():
                shutil.rmtree(part)
        return True
    return False


def _unpack_tar(path: Path, folder: Path) -> None:
    with tarfile.open(path) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, filter=_harmless)
        else:  # Python before 3.10.12
            archive.extractall(folder, members=[member for member in archive if _is_plain(member, folder)])


def _harmless(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """The member with harmless permissions; None if it leads out of ``folder`` (PEP 706)."""
    try:
        return tarfile.data_filter(member, folder)
    except tarfile.FilterError:
        _left_out(member.name)
        return None


def _is_plain(member: tarfile.TarInfo, folder: Path) -> bool:
    if (member.isfile() or member.isdir()) and _is_inside(folder, member.name):
        return True
    _left_out(member.name)
    return False


def _unpack_zip(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if _is_inside(folder, member.filename):
                archive.extract(member, folder)
            else:
                _left_out(member.filename)


def _is_inside(folder: Path, name: str) -> bool:
    target = os.path.realpath(folder)
    return os.path.commonpath([target, os.path.realpath(os.path.join(target, name))]) == target


def _left_out(name: str) -> None:
    warnings.warn(f"The archive's member {name!r} would be written elsewhere, and is left out.", stacklevel=2)

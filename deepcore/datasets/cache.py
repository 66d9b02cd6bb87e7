"""The cache folder, and downloads into it: verified, resumable, and never half a file under a final name."""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from deepcore.config import home
from deepcore.errors import CorruptedFileError

# Seconds to wait before each round over the hosts.
WAITS = (0.0, 1.0, 4.0)
# Seconds to wait for a connection, and for the next bytes of one.
TIMEOUTS = (10, 30)
CHUNK = 1 << 18


def cache_folder() -> Path:
    """Where data sets are kept: ``$DEEPCORE_HOME/datasets``, or ``~/.deepcore/datasets``. It need not exist yet."""
    return home() / "datasets"


def fetch(name: str, urls: Sequence[str], checksum: str, algorithm: str = "sha256") -> Path:
    """Return a verified file of the cache folder, downloaded first where it is missing or damaged.

    A download that stops goes on from there, at once or in a later call, where the server can serve part of a file
    (RFC 9110, range requests). Until its checksum is right it is called ``name + ".part"``. Processes that want the
    same file at once download it once.

    Args:
        name: The file, relative to the cache folder.
        urls: Places that hold exactly this file, the best first.
        checksum: The published checksum, in hexadecimal.
        algorithm: What made it: a name that ``hashlib`` knows.

    Raises:
        CorruptedFileError: What the hosts sent is not the published file; or the cached file is damaged, and no host
            could be reached to replace it.
        ConnectionError: No host could be reached, or none sent the whole file; what arrived is kept.
        ImportError: pooch is not installed, and the file has to be downloaded.
        OSError: The cache folder cannot be made or written.
    """
    path = cache_folder() / name
    found = _digest(path, algorithm)
    if found == checksum:
        return path
    with _locked(path.parent):
        # Another process may have downloaded it while this one waited.
        found = _digest(path, algorithm)
        if found == checksum:
            return path
        damage = f"{path} is damaged: expected {algorithm.upper()} {checksum}, found {found}."
        if found:
            warnings.warn(f"{damage} Downloading it again.", stacklevel=3)
        try:
            _download(path, list(urls), f"{algorithm}:{checksum}")
        except ConnectionError as error:
            if not found:
                raise
            raise CorruptedFileError(f"{damage} Delete it, or replace it. {error}") from error
    return path


def _digest(path: Path, algorithm: str) -> str | None:
    if not path.is_file():
        return None
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")  # noqa: SIM115 (closed below; only the opening belongs in this try)
    except OSError as error:
        raise OSError(
            f"The cache folder {folder} cannot be written ({error}). Set DEEPCORE_HOME to a folder that can, "
            "or pass path= to data already on disk."
        ) from error
    with lock:
        # Some network file systems have no locks; there, two downloads at once only waste time, since a mixed-up file
        # fails its checksum.
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(path: Path, urls: list[str], checksum: str) -> None:
    try:
        import pooch
        import requests
        from urllib3.exceptions import HTTPError as TransferError
    except ImportError as error:
        raise ImportError(
            f"Downloading {path.name} needs pooch ({error}): pip install 'deepcore[data]'. "
            "Or pass path= to data already on disk."
        ) from error

    downloader = _ResumingDownloader(path.with_name(path.name + ".part"))
    reasons: dict[str, Exception] = {}
    for wait in WAITS:
        time.sleep(wait)
        for url in urls.copy():
            resumed = downloader.part.exists()
            try:
                pooch.retrieve(url, known_hash=checksum, fname=path.name, path=path.parent, downloader=downloader)
                return
            except (requests.RequestException, TransferError) as error:
                reasons[url] = error
                status = getattr(getattr(error, "response", None), "status_code", 0)
                final = 400 <= status < 500 and status not in (408, 416, 425, 429)
            # pooch's word for a wrong checksum; it has removed the file.
            except ValueError as error:
                reasons[url] = error
                final = not resumed
            if final:
                urls.remove(url)
        if not urls:
            break

    told = "\n".join(f"  {url}: {reason}" for url, reason in reasons.items())
    way_out = f"Get the file elsewhere and pass its place as path=, or put it at {path}."
    if any(not isinstance(reason, OSError | TransferError) for reason in reasons.values()):
        raise CorruptedFileError(f"{path.name} was downloaded, but is not the published file:\n{told}\n{way_out}")
    raise ConnectionError(f"{path.name} could not be downloaded:\n{told}\n{way_out}")


class _ResumingDownloader:
    """A pooch downloader that keeps what it has in a file of its own, and asks only for the rest."""

    def __init__(self, part: Path) -> None:
        self.part = part

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        import requests

        have = self.part.stat().st_size if self.part.exists() else 0
        # identity: a server that compresses on the way would make byte positions meaningless.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUTS) as response:
            if response.status_code == 416:
                # The part is complete, or longer than the file: the checksum decides, and the next try begins anew.
                os.replace(self.part, output_file)
                return
            response.raise_for_status()
            if response.headers.get("Content-Range", "").split("-")[0] != f"bytes {have}":
                have = 0
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else None
            self._receive(response, have, total)
        if total is not None and self.part.stat().st_size < total:
            raise requests.ConnectionError(f"the transfer ended after {self.part.stat().st_size} of {total} bytes")
        os.replace(self.part, output_file)

    def _receive(self, response: Any, have: int, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
        with open(self.part, "ab") as file, Progress(*columns, console=Console(stderr=True)) as progress:
            file.truncate(have)
            task = progress.add_task(self.part.stem, completed=have, total=total)
            # raw, not iter_content: a .gz served with "Content-Encoding: gzip" must stay as it is.
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                file.write(chunk)
                progress.update(task, advance=len(chunk))

"""Where compiled kernels are kept: ``$DEEPCORE_HOME/kernels``, or ``~/.deepcore/kernels``.

A file's name says what went into it, so that a build is found again only as long as nothing of that has changed.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path


def kept_folder() -> Path:
    """Where builds of earlier processes lie, if there are any; perhaps it cannot be written to."""
    return Path(os.environ.get("DEEPCORE_HOME") or "~/.deepcore").expanduser() / "kernels"


def cache_folder() -> Path:
    """Where builds are kept; a folder for this process alone, with one warning, if that cannot be written to."""
    return _writable(kept_folder())


@functools.cache
def _writable(folder: Path) -> Path:
    import tempfile  # not at the start, where kernels are only read: what it imports takes longer than all that is here

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        other = Path(tempfile.mkdtemp(prefix="deepcore-kernels-"))
        atexit.register(_remove, other, os.getpid())
        warnings.warn(
            f"{folder} cannot be written to ({problem}); kernels are built in {other} and not kept. Set DEEPCORE_HOME "
            "to a folder that can.",
            RuntimeWarning,
            stacklevel=2,
        )
        return other
    return folder


def _remove(folder: Path, owner: int) -> None:
    """At the end of the process that made the folder, which a forked child is not."""
    import shutil

    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def digest(parts: Iterable[str | bytes]) -> str:
    result = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        result.update(len(data).to_bytes(8, "little") + data)
    return result.hexdigest()[:24]


def included(source: Path, folders: Sequence[Path]) -> dict[Path, str]:
    """``source`` and all files that it includes, directly or through others, where they are found; with their text."""
    found: dict[Path, str] = {}
    waiting = [source]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found[file] = file.read_text(encoding="utf-8")
        for name in re.findall(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)[>"]', found[file], flags=re.MULTILINE):
            candidates = (folder / name for folder in (file.parent, *folders))
            waiting += [path.resolve() for path in candidates if path.is_file()][:1]
    return found


def replace(folder: Path, name: str, make: Callable[[Path], object]) -> None:
    """Makes a file under another name and renames it: nobody sees half a file, and of two makers the last one wins."""
    temporary = folder / f"{os.urandom(16).hex()}.tmp"
    try:
        make(temporary)
        os.replace(temporary, folder / name)
    finally:
        temporary.unlink(missing_ok=True)


def once(target: Path, make: Callable[[], object]) -> bool:
    """Calls ``make``, which makes the file ``target``, unless it is there, and says whether it did.

    Whoever wants the same file meanwhile, in this process or another, waits for it instead of making it again.
    """
    import fcntl

    if target.exists():
        return False
    lock = target.with_name(f"{target.name}.lock")
    with open(lock, "w") as held, contextlib.ExitStack() as stack:
        # Some network file systems have no locks: there, both make it.
        with contextlib.suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX)
        # Removed when the target is there, which those who still wait for the removed file look for again.
        stack.callback(lock.unlink, missing_ok=True)
        if target.exists():
            return False
        make()
    return True

"""Machine code and where it is kept: built once for a host, found again by a name that says what went into it.

A function is either LLVM IR that ``emit.py`` wrote or the body of a task, which Numba turns into IR. Both become one
object file each in ``kernels.cache``'s folder; loading one takes neither Numba nor, where ``elf.py`` can do it, LLVM.
What went into a file is the source text of this package, the versions of LLVM and Numba, and the host.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from deepcore.kernels.cache import cache_folder, digest, kept_folder, replace
from deepcore.kernels.cpu import elf
from deepcore.kernels.cpu.host import host, processor
from deepcore.kernels.forks import free_in_children

# Rounding may be reassociated and multiply-adds contracted, so that reductions vectorise; NaN and infinity keep their
# meaning, because a diverging network must show it.
FASTMATH = {"reassoc", "contract", "nsz", "arcp", "afn"}
SILENT_SECONDS = 2.0  # a first build that takes longer says what it is doing

_SUM_BYTES = hashlib.sha256().digest_size

_lock = free_in_children(threading.RLock(), 1)
_addresses: dict[str, int] = {}
built: list[str] = []  # names of what this process had to compile
_building = 0.0  # seconds spent on building so far
_told = False


@functools.cache
def _fingerprint() -> str:
    """What every file depends on."""
    here = Path(__file__).parent
    sources = [path.read_bytes() for path in sorted(here.rglob("*.py"))]
    return digest([*sources, _version("llvmlite"), _version("numba"), repr(host()), processor().name])


def _version(package: str) -> bytes:
    """The file in which a package says which one it is; to import it, or the packages' metadata, would take longer."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError("deepcore compiles its loops with Numba; pip install numba", name=package)
    return Path(found.origin).with_name("_version.py").read_bytes()


def asked_for() -> list[str]:
    """Names of what this process has asked for: found, or compiled."""
    with _lock:
        return list(_addresses)


def function(name: str, make: Callable[[], str]) -> int:
    """The address of the function ``name``, from disk or else compiled from the LLVM IR that ``make`` returns.

    The IR defines the function under the part of ``name`` before the first space; the rest says which one it is.
    """
    found = _addresses.get(name)
    if found is None:
        with _lock:
            found = _addresses.get(name)
            if found is None:
                found = _addresses[name] = _function(name, make)
    return found


def _function(name: str, make: Callable[[], str]) -> int:
    path = kept_folder() / f"{name.replace(' ', '-')}-{digest([_fingerprint(), name])}.o"
    code = _read(path)
    if code is None:
        code = _build(name, make)
        whole = _sum(code) + code
        with contextlib.suppress(OSError):  # a disk that is full: the next process builds it again
            replace(cache_folder(), path.name, lambda temporary: temporary.write_bytes(whole))
    address = _loaded(code, name.split()[0])
    if not address:
        raise RuntimeError(f"{path} does not define {name.split()[0]}; delete the file.")
    return address


def _emit(text: str) -> bytes:
    from deepcore.kernels.cpu import compiler

    return compiler.compiled(text, host())


def _loaded(code: bytes, name: str) -> int:
    """The address of the function ``name`` of an object file; 0 if it has none."""
    address = elf.loaded(code, name)
    if address is None:
        from deepcore.kernels.cpu import compiler

        address = compiler.loaded(code, name, host())
    return address


def _read(path: Path) -> bytes | None:
    """The code in a file, or None if there is no such file or it was damaged: running that would end the process."""
    try:
        whole = path.read_bytes()
    except OSError:
        return None
    code = whole[_SUM_BYTES:]
    return code if whole[:_SUM_BYTES] == _sum(code) else None


def _sum(code: bytes) -> bytes:
    return hashlib.sha256(code).digest()


def _build(name: str, make: Callable[[], str]) -> bytes:
    global _building, _told
    started = time.perf_counter()
    if _building > SILENT_SECONDS and not _told:
        _told = True
        folder = cache_folder()
        kept = f"once; they are kept in {folder} (deepcore warmup compiles them all)"
        lasting = kept if folder == kept_folder() else "for this process alone"
        print(f"deepcore: compiling loops for this CPU, {lasting}", file=sys.stderr)
    code = _emit(make())
    built.append(name)
    _building += time.perf_counter() - started
    return code


def task(file: str, name: str) -> int:
    """The address of the task ``name`` of ``tasks/<file>.py``; takes three integers, most often told, index, worker.

    It is called as Numba makes it: ``int32 task(int64* result, int64* exception, int64, int64, int64)``.
    """
    return function(f"task {file} {name}", lambda: _lower(file, name))


def _lower(file: str, name: str) -> str:
    """The IR that Numba makes of a task, without the wrapper that would hand an exception to Python."""
    from numba import cfunc, types

    body = getattr(importlib.import_module(f"deepcore.kernels.cpu.tasks.{file}"), name)
    compiled = cfunc(types.void(types.intp, types.intp, types.intp), error_model="numpy", fastmath=FASTMATH)(body)
    text = compiled.inspect_llvm()
    (wrapper,) = re.findall(r"^define [^\n]*@\"?cfunc\..*?^}\n", text, flags=re.MULTILINE | re.DOTALL)
    (inner,) = re.findall(r"call i32 @(\"[^\"]+\"|[\w.$]+)\(", wrapper)
    return text.replace(wrapper, "").replace(f"@{inner}(", "@task(")

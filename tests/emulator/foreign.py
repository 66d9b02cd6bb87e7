"""Modules built for a 64-bit Arm processor, and run by qemu on this one.

``foreign_module`` gives an ordinary ``Module``, of which only the calls into the library go to another process: so
whatever is tested of this machine's modules can be tested of those.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from deepcore.kernels.emulator import Module, builder, module, report

COMPILER = "aarch64-linux-gnu-g++"
RUNNER = "qemu-aarch64"
ROOT = Path("/usr/aarch64-linux-gnu")  # where Debian's and Ubuntu's cross compilers keep the C library
MISSING = [tool for tool in (COMPILER, RUNNER) if shutil.which(tool) is None]
REASON = (
    f"THE EMULATOR IS NOT TESTED ON 64-BIT ARM: there is no {' and no '.join(MISSING)}. "
    "On Debian and Ubuntu: apt install g++-aarch64-linux-gnu qemu-user"
)


@contextlib.contextmanager
def _cross_compiling():
    """Within the block kernels are built for the other processor, and their lines looked up by its tools."""
    with tempfile.TemporaryDirectory() as folder:
        for tool in ("addr2line", "readelf"):
            (Path(folder) / tool).symlink_to(shutil.which(COMPILER.replace("g++", tool)))
        with mock.patch.dict(os.environ, {"CXX": COMPILER, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}):
            yield


@functools.cache
def _program() -> Path:
    source = Path(__file__).with_suffix(".cpp")
    target = builder.cache_folder() / f"foreign-{builder.digest([source.read_bytes()])}"
    if not target.exists():
        partial = target.with_suffix(f".{os.getpid()}")
        subprocess.run([COMPILER, "-std=c++17", "-O1", str(source), "-o", str(partial), "-ldl"], check=True)
        partial.rename(target)
    return target


def _run(*words: str | Path) -> str:
    command = [RUNNER, "-L", ROOT, _program(), *words]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, timeout=120).stdout


class _Functions:
    """Stands for a loaded library: what it is told is written down, and done by a process when a kernel is run."""

    def __init__(self, library: Path) -> None:
        self._library = library
        self._variables = [(*rest, name.replace(" ", "")) for *rest, name in report.shared_variables(library)]

    def emulator_prepare(self, grid, block, shared, schedule, seed, checking):
        self._numbers = [*grid, *block, shared.value, schedule, seed.value, checking]
        self._buffers = []

    def emulator_buffer(self, address, nbytes, itemsize, name, output):
        self._buffers.append((address.value, nbytes.value, itemsize.value, output, name.decode()))

    # The other process has stacks of its own.
    def emulator_adopt_stacks(self, memory, count):
        self._stacks = count

    def emulator_hand_on_stacks(self, memory):
        return self._stacks

    def __getattr__(self, name):
        for prefix, make in (("emulator_sizes_", self._sizes), ("emulator_run_", self._runs)):
            if name.startswith(prefix):
                return make(name.removeprefix(prefix))
        raise AttributeError(name)

    def _sizes(self, kernel):
        def sizes():
            return found

        found = _sizes_of(self._library, kernel)
        return sizes

    def _runs(self, kernel):
        def run(pointers):
            with tempfile.TemporaryDirectory() as folder:
                self._launch(Path(folder), kernel, pointers)

        return run

    def _launch(self, folder, kernel, pointers):
        places = {address: i for i, (address, *_) in enumerate(self._buffers)}
        orders = [f"variables {len(self._variables)}", *(" ".join(map(str, v)) for v in self._variables)]
        orders += [" ".join(map(str, self._numbers)), f"buffers {len(self._buffers)}"]
        orders += [" ".join(map(str, buffer[1:])) for buffer in self._buffers]
        sizes = _sizes_of(self._library, kernel)
        orders.append(f"arguments {kernel} {len(sizes)}")
        for size, pointer in zip(sizes, pointers, strict=False):
            value = ctypes.string_at(pointer, size)
            known = places.get(int.from_bytes(value, "little")) if size == 8 else None
            orders.append(f"value {size} {' '.join(map(str, value))}" if known is None else f"buffer {known}")
        (folder / "launch").write_text("\n".join(orders) + "\n", encoding="utf-8")
        (folder / "memory").write_bytes(b"".join(ctypes.string_at(buffer[0], buffer[1]) for buffer in self._buffers))
        said = _run("launch", self._library, folder)
        results = (folder / "results").read_bytes()
        for address, nbytes, *_ in self._buffers:
            ctypes.memmove(address, results[:nbytes], nbytes)
            results = results[nbytes:]
        lines = said.splitlines()
        self._base = int(lines[0].split()[1])
        self._findings = [line.split(" ", 11)[1:] for line in lines if line.startswith("finding ")]
        self._counters = [line.split()[1:] for line in lines if line.startswith("counter ")]

    def emulator_image(self):
        return self._base

    def emulator_finding_count(self):
        return len(self._findings)

    def emulator_finding(self, index, view):
        kind, place, has_block, has_thread, *rest = self._findings[index.value]
        found = view._obj
        found.kind, found.message = kind.encode(), rest[6].encode()
        found.place = int(place)
        sizes = [int(size) for size in rest[:6]]
        found.block[:], found.thread[:] = sizes[:3], sizes[3:]
        found.has_block, found.has_thread = int(has_block), int(has_thread)

    def emulator_counter_count(self):
        return len(self._counters)

    def emulator_counter(self, index, view):
        for (name, _), value in zip(view._obj._fields_, self._counters[index.value], strict=True):
            setattr(view._obj, name, int(value))


@functools.cache
def _sizes_of(library: Path, kernel: str) -> list[int]:
    return [int(size) for size in _run("sizes", library, kernel).split()]


class ForeignModule(Module):
    """A module of the other processor; what is in the arrays is the same on both, which are little-endian."""

    def __init__(self, *arguments, **options):
        with (
            _cross_compiling(),
            mock.patch.object(module._Library, "load", lambda path: SimpleNamespace(functions=_Functions(path))),
        ):
            super().__init__(*arguments, **options)

    def launch(self, *arguments, **options):
        with _cross_compiling():
            return super().launch(*arguments, **options)

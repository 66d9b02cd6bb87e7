"""A ``.cu`` file, built for this machine and launched on NumPy arrays."""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.errors import unknown_name
from deepcore.kernels.cache import cache_folder, digest
from deepcore.kernels.emulator.builder import CUDA, INCLUDE, build
from deepcore.kernels.emulator.memory import DeviceMemory
from deepcore.kernels.emulator.report import Counter, EmulatorError, Finding, Frame, Places, Report, shared_variables
from deepcore.kernels.signature import Signature, convert_scalar, launch_sizes

SCHEDULES = ("fifo", "lifo", "random")

_OPERATIONS = ("load", "store", "atomic")
_SPACES = ("global", "shared")


class _FindingView(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_char_p),
        ("message", ctypes.c_char_p),
        ("place", ctypes.c_void_p),
        ("block", ctypes.c_uint * 3),
        ("thread", ctypes.c_uint * 3),
        ("has_block", ctypes.c_int),
        ("has_thread", ctypes.c_int),
    )


class _CounterView(ctypes.Structure):
    _fields_ = (
        ("place", ctypes.c_void_p),
        ("operation", ctypes.c_int),
        ("space", ctypes.c_int),
        ("size", ctypes.c_uint),
        *((name, ctypes.c_uint64) for name in ("requests", "threads", "cost", "ideal")),
    )


class _Stacks:
    """The fibers' stacks, handed from library to library. Whoever holds ``turn`` may launch; the others wait."""

    turn = threading.Lock()
    memory = ctypes.c_void_p()
    count = 0


class _Library:
    """A loaded library. It holds the state of one launch."""

    _loaded: dict[Path, _Library] = {}  # noqa: RUF012
    _loading = threading.Lock()

    def __init__(self, path: Path) -> None:
        self.functions = ctypes.CDLL(str(path))
        for variable in shared_variables(path):
            self.functions.emulator_variable(*map(ctypes.c_size_t, variable[:3]), variable[3].encode())
        for name in ("emulator_finding_count", "emulator_counter_count", "emulator_image"):
            getattr(self.functions, name).restype = ctypes.c_size_t

    @classmethod
    def load(cls, path: Path) -> _Library:
        """The same object for the same file, as the system gives the same memory for it."""
        with cls._loading:
            if path not in cls._loaded:
                cls._loaded[path] = cls(path)
            return cls._loaded[path]


class Module:
    """The kernels of one ``.cu`` file, compiled for this machine's processor.

    Args:
        source: a ``pathlib.Path`` or path ending in ``.cu``, or the CUDA C++ text itself.
        defines: macros, such as ``{"T": "float", "TILE": 16}``.
        check: watch every access. Findings and counters need it; it is slower by one order of magnitude.
        include: folders for ``#include``, besides the file's own and that of deepcore's kernels.
        name: how messages call a source that is given as text.

    Attributes:
        signatures: the kernels that can be launched, by name.

    Raises:
        CompilerNotFoundError: there is no C++ compiler.
        BuildError: the source does not compile.

    What a launch can find, in check mode:

    - ``race``: two threads of a block use the same bytes, one of them writes, and no barrier orders the two; found
      whether or not the schedule brought it out. Shuffles and votes order no memory, ``__syncwarp`` does.
    - ``block-race``: the same between two blocks, which only ``__threadfence`` and an atomic on both sides order.
    - ``out-of-bounds``, ``misaligned``: with the distance to the nearest array.
    - ``uninitialized``: a read of shared memory, or of an output, before it was written.
    - ``unwritten``: elements of an output that nobody wrote.
    - ``divergent-barrier``: a thread exited while others of its block meet at ``__syncthreads``.
    - ``missing-wait``, ``missing-fence``: asynchronous copies or wgmma in flight at the end, or without their fence.

    In both modes:

    - ``divergent-collective``: the lanes of a mask do not all meet at one collective.
    - ``inactive-lane``: a shuffle reads a lane that takes no part.
    - ``barrier-mismatch``: threads of a block meet at different barriers. ``barrier-misuse``: of an mbarrier.
    - ``deadlock``: with the line where each group of threads waits. ``assertion``, ``trap``: the kernel's own.
    """

    def __init__(
        self,
        source: str | Path,
        defines: Mapping[str, object] | None = None,
        check: bool = False,
        include: Sequence[str | Path] = (),
        name: str = "kernel.cu",
    ) -> None:
        path, label = _source_file(source, name)
        built = build(path, dict(defines or {}), [Path(folder) for folder in include], check, label)
        self.check = check
        self.signatures: dict[str, Signature] = built.signatures
        self.path = path
        self._library = _Library.load(built.library)
        self._places = Places(built.library, [INCLUDE, CUDA / "ptx.cuh"], lambda file: _shown(file, path, label))

    def launch(
        self,
        name: str,
        grid: int | Sequence[int],
        block: int | Sequence[int],
        args: Sequence[Any] | Mapping[str, Any],
        shared: int = 0,
        schedule: str = "fifo",
        seed: int = 0,
        uninitialized: Collection[str] = (),
        memory: Sequence[np.ndarray] = (),
        strict: bool = True,
    ) -> Report:
        """Runs a kernel on NumPy arrays and returns when it is done.

        Args:
            name: of the kernel.
            grid, block: one to three sizes each, as between CUDA's ``<<<`` and ``>>>``.
            args: one value per parameter, in order or by name. Arrays for pointers (C-contiguous, of the declared
                dtype; ``None`` is a null pointer), numbers for numbers. Arrays are written in place.
            shared: bytes of dynamic shared memory.
            schedule: which thread goes on when several can: ``"fifo"``, ``"lifo"`` or ``"random"``.
            seed: of the random schedule; the same seed gives the same order.
            uninitialized: names of outputs. They are filled with NaN (all bits set) first, and in check mode reading
                an element before it is written, and never writing one, are findings.
            memory: further arrays that the kernel reaches through pointers inside of its arguments.
            strict: raise if there are findings; otherwise they are in the report only.

        Returns:
            The findings and, in check mode, the counters.

        Raises:
            ValueError, TypeError: the kernel, an argument or a size is not what the declaration says. Nothing has run.
            EmulatorError: there are findings, and ``strict``.
        """
        signature = self.signatures.get(name)
        if signature is None:
            raise unknown_name("kernel", name, self.signatures)
        sizes = launch_sizes(signature, grid, block, shared)
        if schedule not in SCHEDULES:
            raise unknown_name("schedule", schedule, SCHEDULES)
        values = _in_order(signature, args)
        outputs = {p.name for p in signature.parameters if p.is_pointer and not p.is_const}
        for output in uninitialized:
            if output not in outputs:
                raise unknown_name(f"output of kernel '{name}' in uninitialized", output, outputs)

        device = DeviceMemory(name, separate=self.check)
        words = []
        for parameter, value in zip(signature.parameters, values, strict=True):
            if parameter.is_pointer:
                words.append(device.pointer(parameter, value, poison=parameter.name in uninitialized))
            elif parameter.dtype is None:
                words.append(device.structure(parameter, value))
            else:
                words.append(convert_scalar(name, parameter, value))
        for i, array in enumerate(memory):
            device.add_in_place(array, f"memory[{i}]")
        with _Stacks.turn:
            report = self._run(signature, sizes, shared, SCHEDULES.index(schedule), seed, words, device)
        device.copy_back()
        if strict and report.findings:
            raise EmulatorError(report)
        return report

    def _run(
        self,
        signature: Signature,
        sizes: tuple[tuple[int, ...], tuple[int, ...]],
        shared: int,
        schedule: int,
        seed: int,
        words: list[np.ndarray],
        device: DeviceMemory,
    ) -> Report:
        functions = self._library.functions
        self._compare_sizes(signature, words)
        grid, block = ((ctypes.c_uint * 3)(*size) for size in sizes)
        functions.emulator_prepare(
            grid, block, ctypes.c_size_t(shared), schedule, ctypes.c_uint64(seed % 2**64), int(self.check)
        )
        for buffer in device.buffers:
            functions.emulator_buffer(
                ctypes.c_void_p(buffer.address),
                ctypes.c_size_t(buffer.nbytes),
                ctypes.c_uint(buffer.itemsize),
                buffer.name.encode(),
                int(buffer.poisoned),
            )
        pointers = (ctypes.c_void_p * max(1, len(words)))(*(word.ctypes.data for word in words))
        functions.emulator_adopt_stacks(_Stacks.memory, _Stacks.count)
        getattr(functions, f"emulator_run_{signature.name}")(pointers)
        _Stacks.count = functions.emulator_hand_on_stacks(ctypes.byref(_Stacks.memory))
        return self._report(signature.name)

    def _compare_sizes(self, signature: Signature, words: list[np.ndarray]) -> None:
        """Holds what was read from the declaration against what the compiler made of it."""
        ask = getattr(self._library.functions, f"emulator_sizes_{signature.name}")
        ask.restype = ctypes.POINTER(ctypes.c_uint)
        sizes = ask()
        for i, (parameter, word) in enumerate(zip(signature.parameters, words, strict=True)):
            if sizes[i] != word.nbytes:
                raise TypeError(
                    f"Kernel '{signature.name}', argument '{parameter.name}': {word.nbytes} bytes were passed for "
                    f"'{parameter.type}', which has {sizes[i]}."
                )

    def _report(self, kernel: str) -> Report:
        functions = self._library.functions
        base = functions.emulator_image()
        found = []
        for i in range(functions.emulator_finding_count()):
            view = _FindingView()
            functions.emulator_finding(ctypes.c_size_t(i), ctypes.byref(view))
            found.append(
                (
                    view.kind.decode(),
                    view.message.decode(),
                    view.place,
                    tuple(view.block) if view.has_block else None,
                    tuple(view.thread) if view.has_thread else None,
                )
            )
        counted = []
        for i in range(functions.emulator_counter_count()):
            counter = _CounterView()
            functions.emulator_counter(ctypes.c_size_t(i), ctypes.byref(counter))
            counted.append(counter)
        mentioned = {int(hexed, 16) for _, message, *_ in found for hexed in re.findall(r"\{0x([0-9a-f]+)\}", message)}
        addresses = {place for _, _, place, *_ in found if place} | {c.place for c in counted if c.place} | mentioned
        lines = self._places.look_up(address - base for address in addresses)
        frames = {address: lines[address - base] for address in addresses}
        findings = [_finding(kernel, item, frames) for item in found]
        kept = dict.fromkeys(finding for finding in findings if finding is not None)
        return Report(kernel, tuple(kept), _counters(counted, frames))


def _finding(kernel: str, item: tuple[Any, ...], frames: Mapping[int, tuple[Frame, ...]]) -> Finding | None:
    kind, message, place, block, thread = item
    chain = frames.get(place, ())
    mentioned = [int(hexed, 16) for hexed in re.findall(r"\{0x([0-9a-f]+)\}", message)]
    if kind == "barrier-mismatch" and any(frames[address] == chain for address in mentioned):
        return None  # one barrier in the source, of which the compiler made two

    def line(match: re.Match[str]) -> str:
        where = frames[int(match[1], 16)]
        return f"{Path(where[0][0]).name}:{where[0][1]}" if where else "an unknown line"

    text = re.sub(r"\{0x([0-9a-f]+)\}", line, message)
    file, number = chain[0] if chain else (None, None)
    return Finding(kind, kernel, file, number, block, thread, text, chain)


def _counters(views: list[Any], frames: Mapping[int, tuple[Frame, ...]]) -> tuple[Counter, ...]:
    """One counter per source line, space, operation and size, in the order of the lines."""
    sums: dict[tuple[Any, ...], list[int]] = {}
    for view in views:
        file, line = (frames.get(view.place) or (("?", 0),))[0]
        key = (file, line, _SPACES[view.space], _OPERATIONS[view.operation], view.size)
        total = sums.setdefault(key, [0, 0, 0, 0])
        for i, name in enumerate(("requests", "threads", "cost", "ideal")):
            total[i] += getattr(view, name)
    return tuple(Counter(*key, *sums[key]) for key in sorted(sums))


def _source_file(source: str | Path, name: str) -> tuple[Path, str | None]:
    """The file to compile, and how messages call it if that is not its own name."""
    if isinstance(source, Path) or (source.endswith(".cu") and "\n" not in source):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}. Pass a path to a .cu file, or the source text itself.")
        return path, None
    folder = cache_folder() / "text"
    folder.mkdir(exist_ok=True)
    path = folder / f"{digest([source])}.cu"
    if not path.exists():
        path.write_text(source, encoding="utf-8")
    return path, name


def _shown(file: str, path: Path, label: str | None) -> str:
    """The name of a source file in messages: what the user called it."""
    if label is not None and Path(file).name == Path(label).name:
        return label
    return str(path) if Path(file) == path.resolve() else file


def _in_order(signature: Signature, args: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
    names = [parameter.name for parameter in signature.parameters]
    if isinstance(args, Mapping):
        missing = [name for name in names if name not in args]
        unknown = [name for name in args if name not in names]
        if missing or unknown:
            parts = [
                f"{'missing' if which is missing else 'unknown'}: {', '.join(which)}" for which in (missing, unknown)
            ]
            raise TypeError(
                f"Kernel '{signature.name}' takes {signature}; "
                f"{'; '.join(part for part, which in zip(parts, (missing, unknown), strict=True) if which)}."
            )
        return [args[name] for name in names]
    if len(args) != len(names):
        raise TypeError(
            f"Kernel '{signature.name}' takes {len(names)} arguments, {len(args)} were passed. "
            f"It is declared as {signature}."
        )
    return list(args)

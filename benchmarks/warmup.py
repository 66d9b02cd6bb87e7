"""Compiles ahead what layers, optimizers and the rest of a training step need, so that the first step need not wait.

For a GPU, what is needed is found by making every call once with a carrier that writes launches down and runs nothing:
the same dispatch, the same tiles and macros as later. For the CPU, layers, operations and steps of whole networks are
run, on one sample or on small arrays.
"""

from __future__ import annotations

import functools
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import deepcore
from deepcore.backend import Backend, emulated_backend, numpy_backend
from deepcore.backend.dispatch import Implementation, implementations, use_implementation
from deepcore.backend.geometry import Conv2DGeometry, Pool2DGeometry
from deepcore.backend.numpy.loops import held_to, numba_available, vectors_available
from deepcore.benchmarks.case import Case, cases_of
from deepcore.benchmarks.learner import KerasLearner
from deepcore.benchmarks.network import NETWORKS, Dense, Network
from deepcore.benchmarks.suite import suites_of
from deepcore.device import CPU, Device, DeviceLike, as_device, current_device, use_device
from deepcore.errors import UnsupportedCallError
from deepcore.generator import default_generator
from deepcore.kernels.cache import cache_folder
from deepcore.naming import names_apart

Macros = tuple[tuple[str, object], ...]
Build = tuple[Path, Macros]
Work = tuple[str, Callable[[], Any]]  # its name, and what does it

ROWS, COLUMNS = 128, 512  # of the calls that are no layer of a suite; what is built depends little on them
FEW_UNITS, FEW_ELEMENTS = 10, 1 << 15  # of Dense layers, and of samples, in the steps of networks


@dataclass(frozen=True)
class Compiled:
    """One thing that was compiled, or found.

    Attributes:
        name: a ``.cu`` file or a loop.
        what: its macros, or the types of its arguments.
        cached: whether it was found where builds are kept.
        seconds: what compiling, or finding, took.
    """

    name: str
    what: str
    cached: bool
    seconds: float


@dataclass
class Warmed:
    """What ``warmup`` did.

    Attributes:
        device: for which.
        folder: where it is kept; None if there was nothing to compile.
        bytes: of all that is kept there.
        compiled: everything that was compiled or found.
    """

    device: str
    folder: Path | None
    bytes: int = 0
    compiled: list[Compiled] = field(default_factory=list)

    @property
    def hits(self) -> int:
        """How many were found."""
        return sum(each.cached for each in self.compiled)

    @property
    def misses(self) -> int:
        """How many had to be compiled."""
        return len(self.compiled) - self.hits

    def __str__(self) -> str:
        if self.folder is None:
            return f"{self.device}: nothing to compile"
        seconds = sum(each.seconds for each in self.compiled if not each.cached)
        return (
            f"{self.device}: {self.hits} hits, {self.misses} misses (compiled in {seconds:.1f} s); "
            f"{self.bytes / 2**20:.1f} MiB in {self.folder}"
        )


def warmup(
    device: DeviceLike | None = None,
    suites: Sequence[str] = (),
    dtype: str = "float32",
    report: Callable[[int, int, Compiled], None] | None = None,
) -> Warmed:
    """Compiles what a device needs before it is first used.

    Args:
        device: ``"cuda"``, ``"emulator"`` or ``"cpu"``; the current device by default.
        suites: names of suites of layers, as ``deepcore bench ops --suite`` has them; all of them by default.
        dtype: ``"float32"`` or ``"float64"``.
        report: is told of each thing when it is ready: its number, how many there are, and the thing.

    Raises ``ValueError`` for an unknown suite, ``DeviceUnavailableError`` with the reason for a device that cannot be
    had, ``BuildError`` for a kernel that does not compile.
    """
    where = current_device() if device is None else as_device(device)
    if where.kind == "cpu":
        return _warm_cpu(_cpu_works(suites, dtype), report)
    needed = builds(_cases(suites, dtype), dtype)
    make = _emulated if where.kind == "emulator" else _on_gpu(where)
    folder = cache_folder()
    done = Warmed(str(where), folder)
    for number, (file, macros) in enumerate(needed, 1):
        begin = time.perf_counter()
        cached = make(file, macros)
        what = " ".join(f"{name}={value}" for name, value in macros)
        done.compiled.append(Compiled(file.name, what, cached, time.perf_counter() - begin))
        if report is not None:
            report(number, len(needed), done.compiled[-1])
    done.bytes = _size(folder, "*.so" if where.kind == "emulator" else "*.cubin")
    return done


def _cases(suites: Sequence[str], dtype: str, batch: int | None = None) -> list[Case]:
    return [
        case
        for name in suites or ("all",)
        for suite, layer in suites_of(name)
        for case in cases_of(suite, layer, batch=batch, dtype=dtype)
    ]


def _emulated(file: Path, macros: Macros) -> bool:
    from deepcore.kernels.emulator.builder import build

    return build(file, dict(macros), [], check=False).cached


def _on_gpu(device: Device) -> Callable[[Path, Macros], bool]:
    import cupy

    from deepcore.backend.cuda.cubin import cubin

    capability = int(cupy.cuda.Device(device.index).compute_capability)
    return lambda file, macros: cubin(file, dict(macros), capability).cached


def builds(cases: Iterable[Case], dtype: str = "float32") -> list[Build]:
    """The files and macros that the CUDA implementations of ``cases``, and of all other operations, are built from."""
    from deepcore.backend.cuda.carrier import dry

    backend = emulated_backend()
    with dry() as kernels:
        for case in {(case.op, case.geometry): case for case in cases}.values():
            _attempt(case.run, backend, case.zeros())
        for _, run in others(backend, dtype, ROWS, COLUMNS):
            _attempt(run)
    return list(dict.fromkeys((kernel.file, tuple(sorted(kernel.defines.items()))) for kernel in kernels))


def _attempt(run: Callable[..., Any], *args: Any) -> None:
    """Runs what this device's implementations may not have for this dtype."""
    try:
        run(*args)
    except UnsupportedCallError:
        return


def others(b: Backend, dtype: str, rows: int, columns: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """One call of each operation of the contract that is no layer of a suite, by name."""
    kind = np.dtype(dtype)
    x, vector, column = (np.ones(shape, kind) for shape in ((rows, columns), (columns,), (rows,)))
    image = np.ones((2, 4, 4, columns), kind)
    classes, ids = np.zeros(rows, np.int32), np.zeros(rows, np.int32)
    filters, window = Conv2DGeometry.of(image.shape, (3, 3, columns, 8)), Pool2DGeometry.of(image.shape, (2, 2))
    for activation in ("linear", "relu", "sigmoid", "tanh"):
        yield (
            "bias_activation",
            lambda activation=activation: b.bias_activation(x, vector, activation),  # type: ignore[misc]
        )
        yield (
            "conv2d_fprop",
            lambda activation=activation: b.conv2d_fprop(  # type: ignore[misc]
                image, np.ones(filters.w_shape, kind), filters, np.ones(8, kind), activation
            ),
        )
        yield (
            "bias_activation_dgrad",
            lambda activation=activation: b.bias_activation_dgrad(x, x, activation),  # type: ignore[misc]
        )
        yield "activation_dgrad", lambda activation=activation: b.activation_dgrad(x, x, activation)  # type: ignore[misc]
    yield "cast", lambda: b.cast(x, "float16")
    yield "max_pool2d_gather", lambda: b.max_pool2d_gather(image, np.zeros(window.y_shape, np.uint8), window)
    yield "batch_norm_fprop", lambda: b.batch_norm_fprop(x, vector, vector, 1e-3)
    yield "batch_norm_dgrad", lambda: b.batch_norm_dgrad(x, x, vector, vector, vector, 1e-3)
    yield "batch_norm_inference", lambda: b.batch_norm_inference(x, vector, vector, vector, vector, 1e-3)
    yield "layer_norm_fprop", lambda: b.layer_norm_fprop(x, vector, vector, 1e-3)
    yield "layer_norm_dgrad", lambda: b.layer_norm_dgrad(x, x, vector, column, column)
    yield "local_response_norm_fprop", lambda: b.local_response_norm_fprop(x, 2, 1.0, 1e-4, 0.75)
    yield "local_response_norm_dgrad", lambda: b.local_response_norm_dgrad(x, x, x, 2, 1e-4, 0.75)
    yield "softmax_fprop", lambda: b.softmax_fprop(x)
    yield "softmax_dgrad", lambda: b.softmax_dgrad(x, x)
    yield "log_softmax_fprop", lambda: b.log_softmax_fprop(x)
    yield "log_softmax_dgrad", lambda: b.log_softmax_dgrad(x, x)
    for targets in (classes, x):
        yield (
            "softmax_cross_entropy_fprop",
            lambda targets=targets: b.softmax_cross_entropy_fprop(x, targets),  # type: ignore[misc]
        )
        yield (
            "softmax_cross_entropy_dgrad",
            lambda targets=targets: b.softmax_cross_entropy_dgrad(column, x, targets),  # type: ignore[misc]
        )
        yield (
            "probability_cross_entropy_fprop",
            lambda targets=targets: b.probability_cross_entropy_fprop(x, targets),  # type: ignore[misc]
        )
        yield (
            "probability_cross_entropy_dgrad",
            lambda targets=targets: b.probability_cross_entropy_dgrad(column, x, targets),  # type: ignore[misc]
        )
    for reduce in ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min"):
        for axes in ((0,), (1,), (0, 1)):
            yield reduce, lambda reduce=reduce, axes=axes: getattr(b, reduce)(x, axes)  # type: ignore[misc]
    yield "embedding_gather", lambda: b.embedding_gather(x, ids)
    yield "embedding_scatter", lambda: b.embedding_scatter(x, ids, rows)
    yield "random_bits", lambda: b.random_bits(rows, 1, 0)
    yield "random_uniform", lambda: b.random_uniform((rows, columns), 1, 0, dtype)
    yield "random_normal", lambda: b.random_normal((rows, columns), 1, 0, dtype)
    yield "dropout", lambda: b.dropout(x, 0.5, 1, 0)
    weights = [x.copy(), vector.copy()]
    gradients = [np.zeros_like(w) for w in weights]
    state = [[np.ones_like(w) for w in weights] for _ in range(3)]
    one, two, three = state
    for op, *arguments in (
        ("adadelta_update", one, two, 0.1, 0.9, 1e-7),
        ("adagrad_update", one, 0.1, 1e-7),
        ("adam_update", one, two, 0.1, 0.9, 0.999, 1e-7, 1),
        ("adam_update", one, two, 0.1, 0.9, 0.999, 1e-7, 1, three),
        ("adamax_update", one, two, 0.1, 0.9, 0.999, 1e-7, 1),
        ("blend_update", 0.9, 0.1),
        ("ftrl_update", one, two, 0.1, -0.5, 0.0, 0.0, 0.0, 0.0),
        ("lion_update", one, 0.1, 0.9, 0.99),
        ("momentum_update", one, 0.1, 0.9, False),
        ("nadam_update", one, two, 0.1, 0.9, 0.999, 1e-7, 1, 0.5),
        ("rmsprop_update", one, None, None, 0.1, 0.9, 0.0, 1e-7),
        ("rmsprop_update", one, two, None, 0.1, 0.9, 0.0, 1e-7),
        ("rmsprop_update", one, None, three, 0.1, 0.9, 0.9, 1e-7),
        ("rmsprop_update", one, two, three, 0.1, 0.9, 0.9, 1e-7),
        ("sgd_update", 0.1),
    ):
        yield op, functools.partial(getattr(b, op), weights, gradients, *arguments)
    yield "square_sum", lambda: b.square_sum(gradients)


# Kernels and loops of the CPU


def _warm_cpu(works: Sequence[Work], report: Callable[[int, int, Compiled], None] | None) -> Warmed:
    """Does everything once, and looks what was asked for meanwhile."""
    done = Warmed("cpu", None)
    before = _asked_for()
    for number, (name, run) in enumerate(works, 1):
        begin = time.perf_counter()
        run()
        seconds = time.perf_counter() - begin
        now = _asked_for()
        new = {piece: asked - before.get(piece, Counter()) for piece, asked in now.items()}
        misses = sum(asked[False] for asked in new.values())
        each = seconds / max(1, misses)
        for (file, what), asked in new.items():
            done.compiled += [Compiled(file, what or name, True, 0.0)] * asked[True]
            done.compiled += [Compiled(file, what or name, False, each)] * asked[False]
        before = now
        if report is not None:
            report(number, len(works), Compiled(name, "", not misses, seconds))
    if works:
        folders = {Path(loop.stats.cache_path) for loop in _loops().values()}
        done.folder = cache_folder()
        done.bytes = _size(cache_folder(), "*.o") + sum(_size(folder, "*.nb*") for folder in folders)
    return done


def _asked_for() -> dict[tuple[str, str], Counter[bool]]:
    """How often each loop and each piece of ``kernels/cpu`` was found kept (True), and compiled (False): file, what."""
    found = {}
    for name, loop in _loops().items():
        hits, misses = loop.stats.cache_hits, loop.stats.cache_misses
        found[name, ""] = Counter({True: sum(hits.values()), False: sum(misses.values())})
    library = sys.modules.get("deepcore.kernels.cpu.library")
    if library is not None:
        for name in library.asked_for():
            file, _, what = name.partition(" ")
            found[f"kernels/cpu {file}", what] = Counter({name not in library.built: 1})
    return found


def _loops() -> dict[str, Any]:
    """Every loop that Numba compiles and keeps, of the files that are loaded."""
    return {
        f"{name.rpartition('.')[2]}.{key}{suffix}": loop
        for name, module in list(sys.modules.items())
        if name.startswith("deepcore.kernels.numba.")
        for key, value in vars(module).items()
        if hasattr(value, "body") and value.__module__ == name
        for suffix, loop in (("", value.launch), (".serial", value.body))
    }


def _cpu_works(suites: Sequence[str], dtype: str) -> list[Work]:
    """What needs no layer, each layer and each other operation in every way, and steps of whole networks."""
    if not numba_available()[0]:
        return []
    from deepcore.kernels.cpu.warm import kernels

    backend = numpy_backend()
    cases = _cases(suites, dtype, batch=1)  # what is compiled does not depend on the batch
    return [
        *(("kernels/cpu", make) for make in (kernels() if vectors_available()[0] else ())),
        *_layers(backend, cases),
        *_operations(backend, _smallest(cases), dtype),
        *(
            (network.name, functools.partial(_step, network, dtype))
            for network in NETWORKS.values()
            if not suites or "all" in suites or network.name.startswith(tuple(suites))
        ),
    ]


def _layers(backend: Backend, cases: Iterable[Case]) -> Iterator[Work]:
    """Every case by every implementation whose kernels depend on its geometry: those that are not loops."""
    for case in cases:
        for record in implementations(case.op, "cpu"):
            if record.verdict(case.call)[0] and not record.name.startswith(("numpy", "numba")):
                yield f"{case.suite} {case.layer}", functools.partial(_by, record, _run, backend, case)


def _run(backend: Backend, case: Case) -> None:
    case.run(backend, case.zeros())


def _operations(backend: Backend, cases: Iterable[Case], dtype: str) -> Iterator[Work]:
    """Every operation by every implementation by Numba, on arrays that are small: what is compiled depends on types."""
    calls: list[Work] = [(case.op, functools.partial(_run, backend, case)) for case in cases]
    for op, run in (*calls, *others(backend, dtype, 8, 16)):
        for record in implementations(op, "cpu"):
            if record.name.startswith("numba") and record.available()[0]:
                yield op, functools.partial(_both_ways, functools.partial(_by, record, run))


def _by(record: Implementation, run: Callable[..., Any], *args: Any) -> None:
    with use_implementation(record.op, record.name):
        _attempt(run, *args)


def _both_ways(run: Callable[[], Any]) -> None:
    """Calls loops, and their twins for one thread."""
    for alone in (True, False):
        with held_to(alone):
            run()


def _step(network: Network, dtype: str) -> None:
    """Trains and predicts, on a few samples and on one, and leaves nothing behind that a program could notice."""
    # Kernels for products are the same for all sizes, and Dense layers would be most of what a network weighs.
    layers = tuple(
        replace(node, units=min(node.units, FEW_UNITS)) if isinstance(node, Dense) else node for node in network.layers
    )
    small = replace(network, layers=layers)
    x, y = small.data(max(1, FEW_ELEMENTS // math.prod(network.input_shape)))
    generator = default_generator()
    drawn = generator.offset
    with use_device(CPU), names_apart():
        learner = KerasLearner(small, deepcore, "deepcore", dtype)

        def both() -> None:
            for samples in {1, len(x)}:  # dispatch may choose otherwise for one
                learner.epoch((x[:samples], y[:samples]), samples)
                learner.predict(x[:samples])

        _both_ways(both)
    generator.offset = drawn


def _smallest(cases: Iterable[Case]) -> list[Case]:
    """The case of least work for each operation and each kind of layer, which decides the implementations."""
    best: dict[Any, Case] = {}
    for case in cases:
        key = case.op, getattr(case.geometry, "is_depthwise", None)
        if key not in best or case.bytes < best[key].bytes:
            best[key] = case
    return list(best.values())


def _size(folder: Path, pattern: str) -> int:
    return sum(file.stat().st_size for file in folder.glob(pattern))

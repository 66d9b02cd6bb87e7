"""A table of launches: every kernel of ``kernels/cuda``, in every variant, by the backend functions that launch it.

``test_findings.py`` runs the small ones in check mode and holds the aligned ones to their traffic; ``test_compile.py``
compiles what all of them build; ``mutation.py`` asks which of them miss a barrier. A new kernel needs a line here.

DEEPCORE_KERNELS names another folder of kernels to run, such as a copy in which a barrier is missing.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from oracles.optimizer import CASES as RULES

from deepcore.backend import FILES, dispatch
from deepcore.backend.cuda import array, carrier, launcher, tensor_core, tile
from deepcore.backend.dispatch import implementations, use_implementation, use_precision
from deepcore.backend.dtype import floating, is_floating
from deepcore.backend.geometry import Conv2DGeometry, Pool2DGeometry
from deepcore.backend.updates import Before
from deepcore.errors import UnsupportedCallError
from deepcore.kernels.emulator import Module
from deepcore.kernels.emulator.report import Report

if "DEEPCORE_KERNELS" in os.environ:
    launcher.FOLDER = Path(os.environ["DEEPCORE_KERNELS"])

FLOATS = ("float32", "float64")
HALVES = ("float16", "bfloat16")
SEED = 20_240_607


class Inputs:
    """Arrays to launch on, of one dtype: random, or zeros that are never touched where nothing runs."""

    def __init__(self, dtype: str, random: bool) -> None:
        self.dtype = floating(dtype) if dtype in HALVES else np.dtype(dtype)
        self._rng = np.random.default_rng(SEED) if random else None

    def __call__(self, *shape: int) -> np.ndarray:
        """Numbers of both signs; whole ones below 100 if the dtype is one of integers."""
        if not is_floating(self.dtype):
            return self.whole(100, *shape, dtype=self.dtype.name)
        return self._placed(shape, self.dtype, lambda rng: rng.standard_normal(shape))

    def positive(self, *shape: int) -> np.ndarray:
        return self._placed(shape, self.dtype, lambda rng: rng.uniform(0.5, 1.5, shape))

    def whole(self, high: int, *shape: int, dtype: str = "int32") -> np.ndarray:
        """Integers from 0 to ``high - 1``."""
        return self._placed(shape, np.dtype(dtype), lambda rng: rng.integers(0, high, shape))

    def _placed(self, shape: tuple[int, ...], dtype: np.dtype, values: Callable[[Any], np.ndarray]) -> np.ndarray:
        if self._rng is None:
            return np.zeros(shape, dtype)
        # Aligned as on a GPU, which the counters of sectors go by.
        placed = array.empty(shape, dtype)
        placed[...] = values(self._rng)
        return placed


@dataclass(frozen=True)
class Case:
    """One call of a backend function.

    Attributes:
        op: the function, which is also the operation whose implementations are each forced in turn.
        label: what is particular about it.
        arguments: makes its arguments.
        dtypes: of the arrays.
        tile: position of the only tile of matrix products that may be chosen; any of them if None.
        capability: of the GPU that is emulated; the newest if None.
        watched: whether it is small enough to run in check mode; others are only compiled.
        keywords: makes the arguments that are passed by name.
    """

    op: str
    label: str
    arguments: Callable[[Inputs], tuple[Any, ...]]
    dtypes: Sequence[str] = FLOATS
    tile: int | None = None
    capability: int | None = None
    watched: bool = True
    keywords: Callable[[Inputs], dict[str, Any]] = lambda a: {}

    def __call__(self, inputs: Inputs) -> None:
        functions()[self.op](*self.arguments(inputs), **self.keywords(inputs))

    @contextlib.contextmanager
    def setting(self) -> Iterator[None]:
        """Within the block the call may take every implementation, and only its tile on its GPU."""
        capability = self.capability or carrier.EMULATED_CAPABILITY
        gpu = mock.patch.object(carrier, "EMULATED_CAPABILITY", capability)
        # What dispatch chose for another GPU is not to be remembered.
        choices = mock.patch.dict(dispatch._choices, clear=True)
        with gpu, choices, only_tile(self.tile), use_precision("bfloat16"):
            yield


CONV, POOL = Conv2DGeometry.of, Pool2DGeometry.of


def conv_cases(label: str, geometry: Conv2DGeometry, activation: str = "linear", **options: Any) -> list[Case]:
    """A convolution in its three directions."""
    g = geometry
    return [
        Case(
            "conv2d_fprop", label, lambda a: (a(*g.x_shape), a(*g.w_shape), g, a(g.out_channels), activation), **options
        ),
        Case("conv2d_dgrad", label, lambda a: (a(*g.y_shape), a(*g.w_shape), g), **options),
        Case("conv2d_wgrad", label, lambda a: (a(*g.x_shape), a(*g.y_shape), g), **options),
    ]


def pool_cases(label: str, geometry: Pool2DGeometry, **options: Any) -> list[Case]:
    """Pooling in all its directions."""
    g = geometry
    window = g.window[0] * g.window[1]

    def places(a: Inputs) -> np.ndarray:
        return a.whole(window, *g.y_shape, dtype=np.dtype(g.argmax_dtype).name)

    return [
        Case("max_pool2d_fprop", label, lambda a: (a(*g.x_shape), g), **options),
        Case("max_pool2d_dgrad", label, lambda a: (a(*g.y_shape), places(a), g), **options),
        Case("max_pool2d_gather", label, lambda a: (a(*g.x_shape), places(a), g), **options),
        Case("avg_pool2d_fprop", label, lambda a: (a(*g.x_shape), g), **options),
        Case("avg_pool2d_dgrad", label, lambda a: (a(*g.y_shape), g), **options),
    ]


def row_cases(columns: int, rows: int, label: str, **options: Any) -> list[Case]:
    """Everything that works on rows, whose length decides how many threads a row gets."""
    shape = rows, columns
    return [
        Case("softmax_fprop", label, lambda a: (a(*shape),), **options),
        Case("softmax_dgrad", label, lambda a: (a(*shape), a.positive(*shape)), **options),
        Case("log_softmax_fprop", label, lambda a: (a(*shape),), **options),
        Case("log_softmax_dgrad", label, lambda a: (a(*shape), a(*shape)), **options),
        *(
            case
            for loss in ("softmax", "probability")
            for kind in ("int32", "int64", "uint8")
            for case in (
                Case(
                    f"{loss}_cross_entropy_fprop",
                    f"{label}, {kind} classes",
                    lambda a, kind=kind: (a.positive(*shape), a.whole(min(columns, 200), rows, dtype=kind)),
                    **{**options, "watched": options.get("watched", True) and kind == "int32"},
                ),
                Case(
                    f"{loss}_cross_entropy_dgrad",
                    f"{label}, {kind} classes",
                    lambda a, kind=kind: (a(rows), a.positive(*shape), a.whole(min(columns, 200), rows, dtype=kind)),
                    **{**options, "watched": options.get("watched", True) and kind == "int32"},
                ),
            )
        ),
        *(
            case
            for loss in ("softmax", "probability")
            for case in (
                Case(
                    f"{loss}_cross_entropy_fprop",
                    f"{label}, weights",
                    lambda a: (a.positive(*shape), a.positive(*shape)),
                    **options,
                ),
                Case(
                    f"{loss}_cross_entropy_dgrad",
                    f"{label}, weights",
                    lambda a: (a(rows), a.positive(*shape), a.positive(*shape)),
                    **options,
                ),
            )
        ),
        Case("layer_norm_fprop", label, lambda a: (a(*shape), a(columns), a(columns), 1e-3), **options),
        Case(
            "layer_norm_dgrad",
            label,
            lambda a: (a(*shape), a(*shape), a(columns), a(rows), a.positive(rows)),
            **options,
        ),
        *(
            Case(op, f"{label}, {kind}", lambda a: (a(*shape), (1,)), dtypes=(kind,), **options)
            for op in ("reduce_sum", "reduce_max")
            for kind in FLOATS
        ),
        *(
            Case(
                op,
                f"{label}, {kind}",
                lambda a: (a(*shape), (1,)),
                dtypes=(kind,),
                **{**options, "watched": options.get("watched", True) and kind == "uint8" and op != "reduce_min"},
            )
            for op in ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min")
            for kind in ("int32", "int64", "uint8")
        ),
    ]


def update_cases(tensors: Callable[[Callable[..., np.ndarray]], list[np.ndarray]]) -> list[Case]:
    """A step of every variant of every rule, as it is and with decay, scale and limit before it."""

    def arguments(a: Inputs, rule: Any) -> tuple[Any, ...]:
        states, numbers = rule.split([tensors(a.positive) if there else None for there in rule.present], 3)
        return (tensors(a), tensors(a), *states, *numbers)

    def before(a: Inputs) -> dict[str, Any]:
        return {"before": Before([0.1] * len(tensors(a)), 0.5, a.positive(1), 0.4)}

    return [
        Case(rule.op, f"{label}{how}", lambda a, rule=rule: arguments(a, rule), keywords=keywords)
        for label, rule in RULES.items()
        for how, keywords in (("", lambda a: {}), (", prepared", before))
    ]


CASES = [
    Case("bias_activation", "bias", lambda a: (a(7, 5), a(5), "tanh")),
    Case("bias_activation", "no bias, whole packs", lambda a: (a(9, 4), None, "relu")),
    Case("activation_dgrad", "odd", lambda a: (a(7, 5), a(7, 5), "softplus")),
    Case("bias_activation_dgrad", "one chunk", lambda a: (a(67, 5), a(67, 5), "relu")),
    Case("bias_activation_dgrad", "several chunks", lambda a: (a(2100, 3), a(2100, 3), "sigmoid")),
    *row_cases(5, 37, "rows of 5"),
    *row_cases(67, 13, "rows of 67"),
    *row_cases(1031, 3, "rows of 1031"),
    Case("reduce_sum", "a long row in chunks", lambda a: (a(1, 5003), (0, 1))),
    Case("reduce_sum", "columns", lambda a: (a(2, 67, 5), (1,)), ("float32", "float64", "uint8")),
    Case("reduce_sum", "columns, narrow tiles", lambda a: (a(300, 3), (0,)), ("float32",)),
    Case("reduce_sum", "columns in chunks", lambda a: (a(17000, 2), (0,)), ("float32",)),
    Case("reduce_min", "columns", lambda a: (a(2, 67, 5), (1,)), ("float32",)),
    *(
        Case(
            op,
            "columns of any dtype",
            lambda a: (a(2, 67, 5), (1,)),
            (*FLOATS, "int32", "int64", "uint8"),
            watched=False,
        )
        for op in ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min")
    ),
    Case("batch_norm_fprop", "one chunk", lambda a: (a(3, 5, 7), a(7), a(7), 1e-3)),
    Case("batch_norm_fprop", "several chunks", lambda a: (a(2100, 35), a(35), a(35), 1e-3), ("float32",)),
    Case("batch_norm_inference", "odd", lambda a: (a(67, 35), a(35), a(35), a(35), a.positive(35), 1e-3)),
    Case("batch_norm_dgrad", "one chunk", lambda a: (a(67, 5), a(67, 5), a(5), a(5), a.positive(5), 1e-3)),
    Case("batch_norm_dgrad", "several chunks", lambda a: (a(2100, 3), a(2100, 3), a(3), a(3), a.positive(3), 1e-3)),
    Case("local_response_norm_fprop", "odd", lambda a: (a(3, 5, 7), 2, 1.0, 1e-4, 0.75)),
    Case("local_response_norm_dgrad", "odd", lambda a: (a(3, 5, 7), a(3, 5, 7), a.positive(3, 5, 7), 2, 1e-4, 0.75)),
    *(
        Case("cast", f"to {dtype}", lambda a, dtype=dtype: (a(7, 5), dtype), FLOATS, watched=dtype == "float16")
        for dtype in (*HALVES, *FLOATS)
    ),
    Case("embedding_gather", "odd", lambda a: (a(11, 5), a.whole(13, 7, 3))),
    # The block reads 2048 ids at a time.
    Case("embedding_scatter", "ids in two stages", lambda a: (a(2100, 5), a.whole(11, 2100), 11), ("float32",)),
    Case("embedding_scatter", "two tiles of columns", lambda a: (a(7, 131), a.whole(11, 7), 9)),
    *(
        case
        for kind in ("int32", "int64", "uint8")
        for case in (
            Case(
                "embedding_gather",
                f"{kind} ids",
                lambda a, kind=kind: (a(11, 5), a.whole(13, 7, dtype=kind)),
                watched=False,
            ),
            Case(
                "embedding_scatter",
                f"{kind} ids",
                lambda a, kind=kind: (a(7, 5), a.whole(13, 7, dtype=kind), 9),
                watched=False,
            ),
        )
    ),
    Case("random_bits", "odd", lambda a: (1003, 5, 7), ("float32",)),
    Case("random_uniform", "odd", lambda a: ((7, 5), 5, 7, a.dtype)),
    Case("random_normal", "odd", lambda a: ((7, 5), 5, 7, a.dtype)),
    Case("dropout", "odd", lambda a: (a(7, 5), 0.4, 5, 7)),
    # One tensor has two blocks.
    *update_cases(lambda make: [make(3, 5), make(4099), make(1), make(8)]),
    Case("square_sum", "odd", lambda a: ([a(3, 5), a(4099), a(1)],)),
    *(
        Case("matmul", f"{how} and bias", lambda a, t=t: (a(*t[0]), a(*t[1]), *t[2:], a(21), "tanh"))
        for how, t in {
            "as stored": ((33, 37), (37, 21), False, False),
            "a transposed": ((37, 33), (37, 21), True, False),
            "b transposed": ((33, 37), (21, 37), False, True),
        }.items()
    ),
    Case("matmul", "a batch", lambda a: (a(2, 5, 19), a(3, 1, 19, 7))),
    *(
        Case("matmul", f"tile {tile}, {how}", lambda a, t=t: (a(*t[0]), a(*t[1]), *t[2:]), tile=tile, watched=tile > 0)
        for tile in range(3)
        for how, t in {
            "as stored, wide accesses": ((36, 40), (40, 20), False, False),
            "a transposed, wide accesses": ((40, 36), (40, 20), True, False),
            "b transposed, wide accesses": ((36, 40), (20, 40), False, True),
            "as stored": ((33, 37), (37, 21), False, False),
            "both transposed": ((37, 33), (21, 37), True, True),
        }.items()
    ),
    # The largest tile, watched once: it takes seconds.
    Case("matmul", "the largest tile", lambda a: (a(131, 19), a(19, 33)), ("float32",), tile=0),
    *(
        Case("matmul", f"{how}, sm_{capability}", lambda a, t=t: (a(*t[0]), a(*t[1]), *t[2:]), (kind,), 1, capability)
        for kind, capability in (("float16", 90), ("bfloat16", 90), ("float16", 75))
        for how, t in {
            # Long enough for every stage of the pipeline to be used twice.
            "as stored, wide accesses": ((24, 168), (168, 40), False, False),
            "a transposed, wide accesses": ((72, 24), (72, 40), True, False),
            "b transposed, wide accesses": ((24, 72), (40, 72), False, True),
            "as stored": ((33, 37), (37, 21), False, False),
            "both transposed": ((37, 33), (21, 37), True, True),
        }.items()
    ),
    *(
        Case("matmul", "halves and bias", lambda a: (a(33, 40), a(40, 24), False, False, a(24), "tanh"), (kind,))
        for kind in ("float16", "bfloat16")
    ),
    Case("matmul", "as stored, a long inner axis", lambda a: (a(20, 84), a(84, 12)), ("float32",), tile=1),
    *(
        Case("matmul", "the largest tile of halves", lambda a: (a(131, 24), a(24, 40)), (kind,), tile=0, watched=False)
        for kind in ("float16", "bfloat16")
    ),
    *conv_cases("odd", CONV((2, 7, 5, 5), (3, 3, 5, 7), 1, "same"), "tanh"),
    *conv_cases("wide accesses, strides", CONV((1, 9, 8, 12), (3, 3, 12, 8), 2, "same")),
    *conv_cases("groups, dilation", CONV((1, 9, 8, 6), (2, 3, 3, 4), 1, "same", (2, 1), 2)),
    *conv_cases("few channels", CONV((2, 19, 17, 3), (5, 5, 3, 5), 2, "same")),
    *(
        case
        for channels in (1, 2, 3, 4)
        for case in conv_cases(
            f"{channels} channels, wide", CONV((1, 9, 9, channels), (3, 3, channels, 8)), watched=False
        )
    ),
    *conv_cases("few channels, a large filter by turns", CONV((2, 25, 23, 3), (11, 11, 3, 6), 4)),
    *conv_cases("depthwise", CONV((2, 7, 9, 5), (3, 3, 1, 5), 1, "same", 1, 5)),
    *conv_cases("depthwise, two filters a channel", CONV((1, 7, 9, 3), (3, 3, 1, 6), 2, "same", 1, 3)),
    *conv_cases("depthwise, wide accesses", CONV((1, 7, 9, 8), (5, 3, 1, 8), 1, "same", 1, 8)),
    *conv_cases("depthwise, a long filter", CONV((1, 3, 40, 2), (1, 11, 1, 2), 1, "same", 1, 2), dtypes=("float32",)),
    *pool_cases("odd, strides below the window", POOL((2, 7, 9, 5), 3, 2)),
    *pool_cases("wide accesses", POOL((1, 6, 8, 8), 2)),
    *pool_cases("more places than a byte holds", POOL((1, 19, 20, 3), (18, 17), 1), dtypes=("float32",)),
    *pool_cases("more places than a byte holds, compiled", POOL((1, 18, 20, 8), (18, 17), 1), watched=False),
    *pool_cases("the whole image", POOL((2, 5, 7, 35), (5, 7))),
    *pool_cases("the whole image, wide accesses", POOL((1, 5, 7, 40), (5, 7)), dtypes=("float32",)),
    *pool_cases("the whole image, more places than a byte holds", POOL((1, 18, 17, 3), (18, 17)), dtypes=("float32",)),
    *(
        case
        for tile in range(3)
        for case in (
            *conv_cases(f"tile {tile}", CONV((2, 7, 5, 5), (3, 3, 5, 7), 1, "same"), tile=tile, watched=False),
            *conv_cases(f"tile {tile}, wide", CONV((1, 9, 8, 12), (3, 3, 12, 8), 2, "same"), tile=tile, watched=False),
        )
    ),
    Case(
        "conv2d_fprop",
        "activation",
        lambda a: (a(1, 5, 5, 8), a(3, 3, 8, 8), CONV((1, 5, 5, 8), (3, 3, 8, 8)), a(8), "softplus"),
        watched=False,
    ),
]


def half_cases() -> list[Case]:
    """The first case of each operation on 16 bits, and the wide accesses that only 16 bits make.

    float16 is watched; bfloat16 runs the same code and is only compiled.
    """
    firsts = {case.op: case for case in reversed(CASES) if case.watched}
    kept_wide = {op for op in firsts if op.endswith("_update") or op in ("random_bits", "cast")}
    narrow = {"dtypes": HALVES}
    return [
        *(
            replace(case, label=f"{case.label}, 16 bits", dtypes=HALVES, capability=None)
            for op, case in firsts.items()
            if op not in kept_wide
        ),
        Case("cast", "16 bits, to float32", lambda a: (a(7, 5), "float32"), HALVES),
        Case("cast", "16 bits, to the other", lambda a: (a(7, 5), "bfloat16"), ("float16",), watched=False),
        Case("bias_activation", "16 bits, whole packs", lambda a: (a(9, 8), a(8), "relu"), HALVES),
        Case("dropout", "16 bits, whole packs", lambda a: (a(6, 8), 0.4, 5, 7), HALVES),
        Case("reduce_sum", "16 bits, whole packs", lambda a: (a(37, 64), (1,)), HALVES),
        *(
            Case("matmul", f"16 bits, tile {tile}, wide", lambda a: (a(40, 48), a(48, 24)), HALVES, tile, tile == 2)
            for tile in range(3)
        ),
        *(
            case
            for tile in (0, 2)
            for case in conv_cases(
                f"16 bits, tile {tile}, wide",
                CONV((1, 5, 6, 16), (3, 3, 16, 8), 2, "same"),
                tile=tile,
                watched=tile > 0,
                **narrow,
            )
        ),
        *conv_cases(
            "16 bits, depthwise, wide", CONV((1, 5, 6, 8), (3, 3, 1, 8), 1, "same", 1, 8), watched=False, **narrow
        ),
        *conv_cases("16 bits, few channels", CONV((1, 9, 9, 3), (3, 3, 3, 8)), watched=False, **narrow),
        *pool_cases("16 bits, wide", POOL((1, 6, 5, 16), 3, 2), **narrow),
        *pool_cases("16 bits, the whole image, wide", POOL((1, 5, 4, 16), (5, 4)), watched=False, **narrow),
    ]


CASES += half_cases()


@dataclass(frozen=True)
class Launched:
    """One launch that a call made: what was built for it."""

    file: str
    kernel: str
    defines: tuple[tuple[str, object], ...]


@functools.cache
def functions() -> dict[str, Callable[..., Any]]:
    """The functions of the CUDA backend by name, of the files that it has."""
    import importlib

    found = {}
    for file in FILES:
        if (Path(array.__file__).parent / f"{file}.py").exists():
            module = importlib.import_module(f"deepcore.backend.cuda.{file}")
            found.update({name: getattr(module, name) for name in module.__all__})
    return found


@dataclass(frozen=True)
class Run:
    """A case, by one implementation, on arrays of one dtype."""

    case: Case
    implementation: str
    dtype: str
    launched: tuple[Launched, ...] = field(default=(), compare=False)

    @property
    def watched(self) -> bool:
        """Whether it runs in check mode. A build takes longer than a run, so that float64 is left to one case an op."""
        first = next(case for case in CASES if case.op == self.case.op and case.watched)
        return self.case.watched and (self.dtype == self.case.dtypes[0] or self.case is first)

    def __str__(self) -> str:
        return f"{self.case.op}, {self.implementation}, {self.case.label}, {self.dtype}"

    def __call__(self, random: bool = True) -> None:
        with use_implementation(self.case.op, self.implementation), self.case.setting():
            self.case(Inputs(self.dtype, random))


@contextlib.contextmanager
def only_tile(position: int | None) -> Iterator[None]:
    """Within the block matrix products take this tile, or the smallest where there are fewer."""
    if position is None:
        yield
        return
    only = {dtype: tiles[position : position + 1] or tiles[-1:] for dtype, tiles in tile.TILES.items()}

    def only_warp_tile(format: tensor_core.Format, geometry: Any) -> tuple[tensor_core.WarpTile, float]:
        return (format.tiles[position:] or format.tiles[-1:])[0], 0.0

    with mock.patch.object(tile, "TILES", only), mock.patch.object(tensor_core, "best_tile", only_warp_tile):
        yield


@contextlib.contextmanager
def recording() -> Iterator[list[Launched]]:
    """Within the block launches are written down instead of run."""
    seen: list[Launched] = []

    def launch(self: Any, kernel: Any, *rest: Any) -> None:
        seen.append(Launched(kernel.file.name, kernel.name, tuple(sorted(kernel.defines.items()))))

    with mock.patch.object(carrier.EmulatorCarrier, "launch", launch):
        yield seen


@functools.cache
def runs() -> tuple[Run, ...]:
    """Every case by every implementation that serves it, and what each launches."""
    found = {}
    for case in CASES:
        functions()  # makes the implementations known
        for record in implementations(case.op, "cuda"):
            for dtype in case.dtypes:
                run = Run(case, record.name, dtype)
                with recording() as seen:
                    try:
                        run(random=False)
                    except UnsupportedCallError:
                        continue
                found[str(run)] = Run(case, record.name, dtype, tuple(dict.fromkeys(seen)))
    return tuple(found.values())


Defines = tuple[tuple[str, object], ...]


def variants() -> dict[tuple[str, Defines], set[str]]:
    """For each file and set of macros that a launch builds, the kernels that are launched with it."""
    found: dict[tuple[str, Defines], set[str]] = {}
    for run in runs():
        for launched in run.launched:
            found.setdefault((launched.file, launched.defines), set()).add(launched.kernel)
    return found


@contextlib.contextmanager
def few_blocks() -> Iterator[None]:
    """Within the block grids are as small as if the GPU were: blocks must take what is left in a loop."""
    with contextlib.ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            for limit in ("MOST_BLOCKS", "MOST_ROWS_OF_BLOCKS"):
                if name.startswith("deepcore.backend.cuda.") and hasattr(module, limit):
                    stack.enter_context(mock.patch.object(module, limit, 1))
        yield


@contextlib.contextmanager
def reporting() -> Iterator[list[Report]]:
    """Collects the report of every launch. Outputs that the backend has just allocated are watched as unwritten."""
    reports: list[Report] = []
    fresh: list[np.ndarray] = []
    launch = Module.launch

    def is_fresh(value: Any) -> bool:
        return isinstance(value, np.ndarray) and any(
            value.ctypes.data == other.ctypes.data and value.nbytes == other.nbytes for other in fresh
        )

    def watched(self: Module, name: str, grid: Any, block: Any, args: Any, **options: Any) -> Report:
        outputs = {
            parameter.name: value
            for parameter, value in zip(self.signatures[name].parameters, args, strict=True)
            if parameter.is_pointer and not parameter.is_const and is_fresh(value) and value.size
        }
        report = launch(self, name, grid, block, args, uninitialized=tuple(outputs), **options)
        written = [value.ctypes.data for value in outputs.values()]
        fresh[:] = [other for other in fresh if other.ctypes.data not in written]
        reports.append(report)
        return report

    def noted(empty: Any) -> Any:
        def allocate(*args: Any, **kwargs: Any) -> np.ndarray:
            fresh.append(empty(*args, **kwargs))
            return fresh[-1]

        return allocate

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(Module, "launch", watched))
        for name, module in list(sys.modules.items()):
            if name.startswith("deepcore.backend.cuda.") and name != array.__name__ and hasattr(module, "empty"):
                stack.enter_context(mock.patch.object(module, "empty", noted(module.empty)))
        yield reports

"""One call that is measured: the arrays it takes, how a backend runs it, and how its result is judged.

Everything that knows an operation is here, once; devices and clocks know none of it, so that what is measured on one
device is what is measured on every other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepcore.backend import Backend
from deepcore.backend.dispatch import Call, get_precision, get_winograd
from deepcore.backend.explain import matmul_gradients, times
from deepcore.backend.geometry import Conv2DGeometry, MatmulGeometry
from deepcore.benchmarks import oracle
from deepcore.benchmarks.oracle import Expectation
from deepcore.benchmarks.suite import Geometry, Layer, Suite

DIRECTIONS = ("fprop", "dgrad", "wgrad")
SAMPLES = 256

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    """How one hot operation is called and checked.

    Attributes:
        inputs: names of its arrays, in order: ``"x"`` of the geometry's ``x_shape`` and so on.
        output: the name of what it makes.
        call: runs it on arrays of a device.
        expect: exact values of sampled elements, an ``Expectation`` for every array that it returns.
        has_flops: whether its arithmetic says something; pooling is bound by memory.
    """

    inputs: tuple[str, ...]
    output: str
    call: Callable[..., Any]
    expect: Callable[..., Any]
    has_flops: bool = True


OPERATIONS: dict[str, Operation] = {
    "conv2d_fprop": Operation(("x", "w"), "y", lambda b, x, w, g: b.conv2d_fprop(x, w, g), oracle.conv2d_fprop),
    "conv2d_dgrad": Operation(("y", "w"), "x", lambda b, dy, w, g: b.conv2d_dgrad(dy, w, g), oracle.conv2d_dgrad),
    "conv2d_wgrad": Operation(("x", "y"), "w", lambda b, x, dy, g: b.conv2d_wgrad(x, dy, g), oracle.conv2d_wgrad),
    "max_pool2d_fprop": Operation(
        ("x",), "y", lambda b, x, g: b.max_pool2d_fprop(x, g), oracle.max_pool2d_fprop, has_flops=False
    ),
    "max_pool2d_dgrad": Operation(
        ("y", "argmax"), "x", lambda b, dy, at, g: b.max_pool2d_dgrad(dy, at, g), oracle.max_pool2d_dgrad, False
    ),
    "avg_pool2d_fprop": Operation(
        ("x",), "y", lambda b, x, g: b.avg_pool2d_fprop(x, g), oracle.avg_pool2d_fprop, has_flops=False
    ),
    "avg_pool2d_dgrad": Operation(
        ("y",), "x", lambda b, dy, g: b.avg_pool2d_dgrad(dy, g), oracle.avg_pool2d_dgrad, has_flops=False
    ),
    "matmul": Operation(
        ("a", "b"), "y", lambda b, left, right, g: b.matmul(left, right, g.transpose_a, g.transpose_b), oracle.matmul
    ),
}


@dataclass(frozen=True)
class Judgement:
    """Whether a result was right. ``error`` and ``bound`` are relative to the magnitude of what was summed."""

    correct: bool
    error: float
    bound: float
    message: str


@dataclass(frozen=True)
class Case:
    """One direction of one layer at one batch size and dtype.

    Attributes:
        suite, layer: where it comes from.
        op: the hot operation as dispatch calls it, such as ``"conv2d_dgrad"``.
        direction: ``"fprop"``, ``"dgrad"`` (gradient of the input) or ``"wgrad"`` (gradient of the weights).
        batch: images, where the layer has a batch.
        dtype: NumPy name of a floating dtype.
        geometry: what dispatch decides on.
        count: how often the network has this layer.
    """

    suite: str
    layer: str
    op: str
    direction: str
    batch: int
    dtype: str
    geometry: Geometry
    count: int = 1

    @property
    def call(self) -> Call:
        return Call(self.op, self.dtype, self.geometry, get_precision(), get_winograd())

    @property
    def shape(self) -> str:
        """The forward sizes in one line: ``32x28x28x1 * 5x5x1x6``."""
        g = self.geometry
        if isinstance(g, MatmulGeometry):
            left, right = (times(_operand_shape(g, name)) for name in "ab")
            return f"{left}{'ᵀ' if g.transpose_a else ''} @ {right}{'ᵀ' if g.transpose_b else ''}"
        if isinstance(g, Conv2DGeometry):
            stride = "" if g.strides == (1, 1) else f" /{_size(g.strides)}"
            groups = " depthwise" if g.is_depthwise else "" if g.groups == 1 else f" groups {g.groups}"
            return f"{times(g.x_shape)} * {times(g.w_shape)}{stride}{groups}"
        return f"{times(g.x_shape)} pool {_size(g.window)}{'' if g.strides == g.window else f' /{_size(g.strides)}'}"

    @property
    def flops(self) -> int:
        """Floating-point operations, a multiply-add counting two; 0 where arithmetic is not what costs."""
        return self.geometry.flops if OPERATIONS[self.op].has_flops else 0

    @property
    def bytes(self) -> int:
        """The least traffic with memory: every input read once, every output written once."""
        operation = OPERATIONS[self.op]
        names = (*operation.inputs, operation.output, *(("argmax",) if self.op == "max_pool2d_fprop" else ()))
        return sum(int(np.prod(self._shape_of(name))) * self._dtype_of(name).itemsize for name in names)

    def arrays(self, seed: int = 0) -> tuple[np.ndarray, ...]:
        """The arrays that the call takes, in host memory, the same for the same seed: standard normal numbers.

        Max-pooling's gradient gets the true positions of the maxima of such an input.
        """
        rng = np.random.default_rng(seed)
        return tuple(
            oracle.max_pool2d_argmax(self.pooled(seed), self.geometry) if name == "argmax" else self._normal(name, rng)  # type: ignore[arg-type]
            for name in OPERATIONS[self.op].inputs
        )

    def pooled(self, seed: int = 0) -> np.ndarray:
        """The input of max-pooling whose maxima lie where the gradient's ``arrays`` say."""
        return self._normal("x", np.random.default_rng((seed, 1)))

    def _normal(self, name: str, rng: np.random.Generator) -> np.ndarray:
        drawn = np.float64 if self.dtype == "float64" else np.float32
        return rng.standard_normal(self._shape_of(name), drawn).astype(self.dtype, copy=False)

    def zeros(self) -> tuple[np.ndarray, ...]:
        """The arrays that the call takes, of zeros, which cost no memory until they are touched."""
        return tuple(np.zeros(self._shape_of(name), self._dtype_of(name)) for name in OPERATIONS[self.op].inputs)

    def run(self, backend: Backend, arrays: Sequence[Any]) -> Any:
        """The call itself, on arrays of the backend's device, through dispatch, as a layer makes it."""
        return OPERATIONS[self.op].call(backend, *arrays, self.geometry)

    def expect(self, arrays: Sequence[np.ndarray], seed: int = 0, samples: int = SAMPLES) -> tuple[Expectation, ...]:
        """Exact values of a sample of the output's elements, from host arrays."""
        operation = OPERATIONS[self.op]
        shape = self._shape_of(operation.output)
        length = self._wgrad_terms() if self.direction == "wgrad" and self.op != "matmul" else 1
        index = oracle.sample(shape, oracle.affordable(length, samples), np.random.default_rng(seed + 1))
        expected = operation.expect(*arrays, self.geometry, index)
        return expected if isinstance(expected, tuple) else (expected,)

    def _wgrad_terms(self) -> int:
        """Terms that one element of a convolution's weight gradient sums."""
        g = self.geometry
        return 1 if isinstance(g, MatmulGeometry) else g.batch * g.out_height * g.out_width

    def judge(self, outputs: Any, expected: Sequence[Expectation], precision: str | None = None) -> Judgement:
        """Whether host arrays ``outputs`` are right: their number, shape, dtype, finiteness, and the sampled values.

        ``precision`` is that of the products where it is less than the dtype says.
        """
        found = outputs if isinstance(outputs, tuple) else (outputs,)
        g = self.geometry
        fast = isinstance(g, Conv2DGeometry) and g.window != (1, 1) and not g.is_depthwise
        limit = max(oracle.bound(part.length, self.dtype, transformed=fast, precision=precision) for part in expected)
        if len(found) != len(expected):
            return Judgement(False, np.inf, limit, f"returned {len(found)} arrays, expected {len(expected)}")
        names = (OPERATIONS[self.op].output, "argmax")
        worst = 0.0
        for name, array, part in zip(names, found, expected, strict=False):
            shape, dtype = self._shape_of(name), self._dtype_of(name)
            if array.shape != shape or array.dtype != dtype:
                message = f"returned {array.dtype} {array.shape}, expected {dtype} {shape}"
                return Judgement(False, np.inf, limit, message)
            if not np.isfinite(array).all():
                return Judgement(False, np.inf, limit, "returned NaN or infinity")
            worst = max(worst, oracle.error(array, part))
        if worst > limit:
            return Judgement(False, worst, limit, f"error {worst:.2g} exceeds the bound {limit:.2g}")
        return Judgement(True, worst, limit, "")

    def _shape_of(self, name: str) -> Shape:
        g = self.geometry
        if isinstance(g, MatmulGeometry):
            return (g.m, g.n) if name == "y" else _operand_shape(g, name)
        return tuple(getattr(g, "y_shape" if name == "argmax" else f"{name}_shape"))

    def _dtype_of(self, name: str) -> np.dtype:
        if name != "argmax":
            return np.dtype(self.dtype)
        return np.dtype(self.geometry.argmax_dtype)  # type: ignore[union-attr]


def cases_of(
    suite: Suite, layer: Layer, directions: Sequence[str] = DIRECTIONS, batch: int | None = None, dtype: str = "float32"
) -> list[Case]:
    """The directions of ``layer`` that it has among ``directions``. A layer's own batch holds unless one is given."""
    size = batch or layer.batch or suite.batch
    cases = []
    for direction in layer.directions:
        if direction not in directions:
            continue
        op = layer.op if layer.op == "matmul" else f"{layer.op}_{direction}"
        geometry = layer.geometry(size)
        if isinstance(geometry, MatmulGeometry) and direction != "fprop":
            geometry = matmul_gradients(geometry)[("dgrad", "wgrad").index(direction)]
        cases.append(Case(suite.name, layer.name, op, direction, size, dtype, geometry, layer.count))
    return cases


def _size(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else times(pair)


def _operand_shape(g: MatmulGeometry, name: str) -> Shape:
    if name == "a":
        return (g.k, g.m) if g.transpose_a else (g.m, g.k)
    return (g.n, g.k) if g.transpose_b else (g.k, g.n)

"""Which implementation a call takes, and why; for every other one, why not.

The same judgement that dispatch makes, put into words. Shapes are enough, so a call can be explained for a device that
this machine does not have.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from deepcore.backend import FILES, numpy_backend
from deepcore.backend.dispatch import Call, Choice, family, get_precision, get_winograd, judge, operations
from deepcore.backend.dtype import HALVES
from deepcore.backend.geometry import Conv2DGeometry, FlatGeometry, MatmulGeometry, Pool2DGeometry, RowsGeometry
from deepcore.backend.numpy.half import widens
from deepcore.errors import unknown_name

DISPATCH_DEVICES = {"cpu": "cpu", "cuda": "cuda", "emulator": "cuda"}


@dataclass(frozen=True)
class Section:
    """One direction of an operation.

    Attributes:
        title: the direction in words, such as ``"conv2d_dgrad"``.
        call: what dispatch was asked; its dtype is float32 where 16-bit floats are computed in float32.
        choices: every implementation, the chosen one first.
    """

    title: str
    call: Call
    choices: tuple[Choice, ...]

    @property
    def sizes(self) -> str:
        """The arrays of the forward call, or the two matrices of a product, in one line."""
        g = self.call.geometry
        if isinstance(g, MatmulGeometry):
            left, right = (g.m, g.k), (g.k, g.n)
            batch = "" if g.batch == 1 else f"{g.batch} times "
            stored = [f", {name} stored transposed" for name in "ab" if getattr(g, f"transpose_{name}")]
            return f"{batch}{times(left)} @ {times(right)}{''.join(stored)}"
        if isinstance(g, Conv2DGeometry):
            return f"{times(g.x_shape)} * {times(g.w_shape)} -> {times(g.y_shape)}"
        if isinstance(g, Pool2DGeometry):
            return f"{times(g.x_shape)} -> {times(g.y_shape)}"
        return f"{g.rows} rows of {g.columns}" if isinstance(g, RowsGeometry) else f"{g.size} elements"

    @property
    def chosen(self) -> Choice | None:
        """The implementation that the call takes; None if no implementation serves it."""
        return next((choice for choice in self.choices if choice.chosen), None)


@dataclass(frozen=True)
class Explanation:
    """What ``explain`` found; printing it shows a table for every direction.

    Attributes:
        op: the operation that was asked about.
        device: the device that the arrays are on, or were said to be.
        dtype: NumPy name of their dtype.
        sections: one for every direction.
    """

    op: str
    device: str
    dtype: str
    sections: tuple[Section, ...]

    def dtype_of(self, section: Section) -> str:
        """The dtype in words, with that of the computation where it is another."""
        return self.dtype if section.call.dtype == self.dtype else f"{self.dtype}, computed in {section.call.dtype},"

    def __str__(self) -> str:
        lines: list[str] = []
        for section in self.sections:
            lines += [f"{section.title}, {self.dtype_of(section)} on {self.device}: {section.sizes}"]
            table = [("", "implementation", "device", "estimate", "why"), *map(cells, section.choices)]
            widths = [max(len(row[column]) for row in table) for column in range(4)]
            lines += [
                "  " + "  ".join([*(text.ljust(size) for text, size in zip(row, widths, strict=False)), row[-1]])
                for row in table
            ]
            if section.chosen is None:
                lines += [f"  No implementation serves this call on {self.device}."]
            lines += [""]
        return "\n".join(line.rstrip() for line in lines).rstrip("\n")

    __repr__ = __str__


def cells(choice: Choice) -> tuple[str, str, str, str, str]:
    """One line of a table: mark, name, device, estimated time, reason."""
    record = choice.implementation
    seconds = "" if choice.seconds is None else duration(choice.seconds)
    return "→" if choice.chosen else "", record.name, record.device, seconds, choice.reason


def times(shape: Sequence[int]) -> str:
    """Sizes as they are written on the command line.

    >>> times((32, 28, 28, 1))
    '32x28x28x1'
    """
    return "x".join(map(str, shape))


def duration(seconds: float) -> str:
    """Three significant digits in the unit that suits them.

    >>> duration(0.0123), duration(4.5e-6), duration(12.34), duration(3e-9)
    ('12.3 ms', '4.5 us', '12.3 s', '3 ns')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        if seconds >= size * 0.9995:
            value = seconds / size
            return f"{value:.0f} {unit}" if value >= 999.5 else f"{value:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns" if seconds else "0 s"


@functools.cache
def load_records() -> None:
    """Imports every backend file that lists implementations, of devices that this machine lacks, too."""
    numpy_backend()
    for file in FILES:
        name = f"deepcore.backend.cuda.{file}"
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)


def explain(
    op: str, *operands: Any, dtype: str | np.dtype | None = None, device: str | None = None, **options: Any
) -> Explanation:
    """Explains which implementation runs ``op`` on ``operands``, and why no other does.

    Args:
        op: an operation with all its directions (``"conv2d"``) or one direction (``"conv2d_dgrad"``).
        *operands: the arrays of the forward call, or only their shapes as tuples of ints: x [N, H, W, C] and
            w [R, S, C / groups, K] for ``conv2d``, a and b for ``matmul``, table and ids for an embedding, x for all
            others.
        dtype: of the arrays; taken from the first array, else ``"float32"``.
        device: ``"cpu"``, ``"cuda"`` or ``"emulator"``; taken from the first array, else ``"cpu"``.
        **options: as the operation takes them: ``strides``, ``padding``, ``dilation``, ``groups``, ``pool_size``,
            ``transpose_a``, ``transpose_b``, ``axes``.

    Raises:
        ValueError: for an unknown operation, device or dtype, or sizes that do not fit together.
        TypeError: for operands or options that the operation does not take.

    >>> explanation = explain("matmul", (128, 784), (784, 512))
    >>> [section.title for section in explanation.sections]
    ['matmul', 'matmul for the gradient of a', 'matmul for the gradient of b']
    """
    load_records()
    directions = operations(op)
    arrays = [operand for operand in operands if hasattr(operand, "dtype")]
    if dtype is None:
        dtype = arrays[0].dtype if arrays else "float32"
    dtype_name = _floating(dtype)
    if device is None:
        device = _device_of(arrays[0]) if arrays else "cpu"
    if device not in DISPATCH_DEVICES:
        raise unknown_name("device", device, DISPATCH_DEVICES)

    geometry = _geometry(op, [_shape(operand) for operand in operands], options)
    asked = [(direction, direction, geometry) for direction in directions]
    if isinstance(geometry, MatmulGeometry):
        asked += [
            (f"matmul for the gradient of {name}", "matmul", gradient)
            for name, gradient in zip("ab", matmul_gradients(geometry), strict=True)
        ]
    calls = [
        (title, Call(direction, _asked_dtype(direction, dtype_name, device), sizes, get_precision(), get_winograd()))
        for title, direction, sizes in asked
    ]
    sections = tuple(Section(title, call, tuple(judge(call, DISPATCH_DEVICES[device]))) for title, call in calls)
    return Explanation(op, device, dtype_name, sections)


def _asked_dtype(op: str, dtype: str, device: str) -> str:
    """The dtype that dispatch is asked about for arrays of ``dtype``: most operations widen 16-bit floats on a CPU."""
    widened = device == "cpu" and dtype in HALVES and widens(getattr(numpy_backend(), op))
    return "float32" if widened else dtype


def matmul_gradients(g: MatmulGeometry) -> tuple[MatmulGeometry, MatmulGeometry]:
    """The products that make the gradients of a and b, operands stored as they are.

    y = a b gives da = dy b^T and db = a^T dy; a transposed operand has a transposed gradient.

    >>> matmul_gradients(MatmulGeometry.of((128, 784), (784, 512)))[1]
    MatmulGeometry(batch=1, m=784, n=512, k=128, transpose_a=True, transpose_b=False)
    """
    if g.transpose_a:  # a is stored [k, m]: da = op(b) dy^T
        of_a = replace(g, m=g.k, n=g.m, k=g.n, transpose_a=g.transpose_b, transpose_b=True)
    else:
        of_a = replace(g, n=g.k, k=g.n, transpose_b=not g.transpose_b)
    if g.transpose_b:  # b is stored [n, k]: db = dy^T op(a)
        of_b = replace(g, m=g.n, n=g.k, k=g.m, transpose_a=True, transpose_b=g.transpose_a)
    else:
        of_b = replace(g, m=g.k, k=g.m, transpose_a=not g.transpose_a)
    return of_a, of_b


def _conv2d(x: Any, w: Any, strides: Any = 1, padding: Any = "valid", dilation: Any = 1, groups: int = 1) -> Any:
    return Conv2DGeometry.of(x, w, strides, padding, dilation, groups)


def _pool2d(x: Any, pool_size: Any = 2, strides: Any = None, padding: Any = "valid") -> Any:
    return Pool2DGeometry.of(x, pool_size, strides, padding)


def _matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    return MatmulGeometry.of(a, b, transpose_a, transpose_b)


def _rows(x: Any) -> Any:
    return RowsGeometry.of(x)


def _flat(x: Any) -> Any:
    return FlatGeometry(math.prod(x))


def _reduction(x: Any, axes: Any = None) -> Any:
    reduced = range(len(x)) if axes is None else {axis % len(x) for axis in ([axes] if isinstance(axes, int) else axes)}
    kept = math.prod(size for axis, size in enumerate(x) if axis not in reduced)
    return RowsGeometry(kept, math.prod(x) // kept)


def _embedding(table: Any, ids: Any) -> Any:
    if len(table) != 2:
        raise ValueError(f"an embedding expects a table of rank 2, [vocabulary, features]; got shape {table}.")
    return RowsGeometry(math.prod(ids), table[1])


def _builder(op: str) -> Callable[..., Any]:
    name = family(op)
    if name == "conv2d":
        return _conv2d
    if "pool2d" in name:
        return _pool2d
    if name == "matmul":
        return _matmul
    if name.startswith("reduce_"):
        return _reduction
    if name.startswith("embedding_"):
        return _embedding
    flat = name in ("cast", "dropout", "square_sum") or name.startswith("random_") or name.endswith("_update")
    return _flat if flat else _rows


def _geometry(op: str, shapes: Sequence[tuple[int, ...]], options: dict[str, Any]) -> Any:
    build = _builder(op)
    parameters = inspect.signature(build).parameters
    names = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    accepted = [name for name in parameters if name not in names]
    if len(shapes) != len(names):
        raise TypeError(
            f"{op} takes {len(names)} operands ({', '.join(names)}); got {len(shapes)}: "
            f"{', '.join(map(str, shapes)) or 'none'}."
        )
    for option in options:
        if option not in accepted:
            takes = f"takes {', '.join(accepted)}" if accepted else "takes no options"
            raise TypeError(f"{op} has no option {option!r}; it {takes}.")
    return build(*shapes, **options)


def _shape(operand: Any) -> tuple[int, ...]:
    sizes = getattr(operand, "shape", operand)
    if not isinstance(sizes, (tuple, list)) or not all(hasattr(size, "__index__") for size in sizes):
        raise TypeError(f"explain expects arrays, or shapes as tuples of ints; got {operand!r}.")
    if any(int(size) < 1 for size in sizes):
        raise ValueError(f"explain expects axes of at least 1; got shape {tuple(sizes)}.")
    return tuple(int(size) for size in sizes)


def _floating(dtype: Any) -> str:
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    known = ("float16", "bfloat16", "float32", "float64")
    if name not in known:
        raise unknown_name("floating dtype", name, known)
    return name


def _device_of(array: Any) -> str:
    if hasattr(array, "__cuda_array_interface__"):
        return "cuda"
    name = str(getattr(array, "device", "cpu")).partition(":")[0]
    return name if name in DISPATCH_DEVICES else "cpu"

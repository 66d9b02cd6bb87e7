"""The sizes of a call, checked once and passed down whole.

A geometry is immutable and hashable: it is what dispatch decides on, what a cost estimate counts, and what a backward
pass needs to know of its forward pass. Building one raises every shape error, before anything is launched.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ParamSpec, TypeAlias, TypeVar

KEPT = 1 << 12  # geometries, of the calls that were made last

Pair: TypeAlias = tuple[int, int]
Made = TypeVar("Made")
Sizes = ParamSpec("Sizes")
Padding: TypeAlias = str | int | Sequence[int] | Sequence[Sequence[int]]


def pair(value: int | Sequence[int], name: str, *, smallest: int = 1) -> Pair:
    """``value`` as (height, width): an int counts for both axes.

    >>> pair(3, "kernel_size")
    (3, 3)
    """
    sizes = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(sizes) != 2 or any(isinstance(s, bool) or not hasattr(s, "__index__") for s in sizes):
        raise ValueError(f"{name} must be an int or two ints (height, width); got {value!r}.")
    if any(s < smallest for s in sizes):
        raise ValueError(f"{name} must be at least {smallest} in both axes; got {value!r}.")
    return int(sizes[0]), int(sizes[1])


def remembered(of: Callable[Sizes, Made]) -> Callable[Sizes, Made]:
    """A class method that makes the geometry of sizes once: a network asks for the same ones in every step."""
    known: Any = functools.lru_cache(KEPT, typed=True)(of)

    @functools.wraps(of)
    def found(*args: Sizes.args, **kwargs: Sizes.kwargs) -> Made:
        try:
            made: Made = known(*args, **kwargs)
        except TypeError:  # sizes in a list, which is no key; or they are wrong
            made = of(*args, **kwargs)
        return made

    return found


def hashed_once(cls: type[Made]) -> type[Made]:
    """Class decorator: keeps the hash of a geometry, which takes dispatch longer to find than all else that it does."""
    geometry: Any = cls
    of_sizes = geometry.__hash__

    def kept(self: Any) -> int:
        found: int | None = self.__dict__.get("_hash")
        if found is None:
            found = self.__dict__["_hash"] = of_sizes(self)
        return found

    geometry.__hash__ = kept
    return cls


def resolve_padding(padding: Padding, size: Pair, window: Pair, strides: Pair) -> tuple[Pair, Pair]:
    """((top, bottom), (left, right)) rows and columns of padding.

    ``"valid"`` is none; ``"same"`` gives ceil(size / stride) outputs with the odd row at the end, as Keras and
    TensorFlow define it; an int, (height, width) or ((top, bottom), (left, right)) is taken as it stands.

    >>> resolve_padding("same", (5, 5), (2, 3), (1, 2))
    ((0, 1), (1, 1))
    """
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0), (0, 0)
        if padding == "same":
            ends = []
            for length, extent, stride in zip(size, window, strides, strict=True):
                total = max((-(-length // stride) - 1) * stride + extent - length, 0)
                ends.append((total // 2, total - total // 2))
            return ends[0], ends[1]
        raise ValueError(f"padding must be 'valid', 'same' or explicit sizes; got {padding!r}.")
    given: tuple[Any, ...] = (padding, padding) if isinstance(padding, int) else tuple(padding)
    if len(given) != 2:
        raise ValueError(f"padding must be 'valid', 'same' or explicit sizes; got {padding!r}.")
    rows, columns = ((int(p), int(p)) if isinstance(p, int) else (int(p[0]), int(p[1])) for p in given)
    if min(*rows, *columns) < 0:
        raise ValueError(f"padding must not be negative; got {padding!r}.")
    return rows, columns


class _SlidingWindow:
    """What convolution and pooling have in common: how many windows fit."""

    height: int
    width: int
    window: Pair
    strides: Pair
    padding: tuple[Pair, Pair]

    @cached_property
    def out_height(self) -> int:
        return (self.height + sum(self.padding[0]) - self.window[0]) // self.strides[0] + 1

    @cached_property
    def out_width(self) -> int:
        return (self.width + sum(self.padding[1]) - self.window[1]) // self.strides[1] + 1


@hashed_once
@dataclass(frozen=True)
class Conv2DGeometry(_SlidingWindow):
    """A 2-D convolution (cross-correlation): x [N, H, W, C], w [R, S, C / groups, K] -> y [N, P, Q, K].

    One geometry serves all three directions: fprop makes y, dgrad makes x's gradient, wgrad makes w's.
    """

    batch: int
    height: int
    width: int
    in_channels: int
    out_channels: int
    kernel_height: int
    kernel_width: int
    strides: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    groups: int = 1

    @classmethod
    @remembered
    def of(
        cls,
        x_shape: Sequence[int],
        w_shape: Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: Padding = "valid",
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
    ) -> Conv2DGeometry:
        """The geometry of ``x`` [N, H, W, C] convolved with ``w`` [R, S, C / groups, K].

        Raises ``ValueError`` for wrong ranks, channels that do not match, empty sizes, and a window larger than the
        padded input.
        """
        if len(x_shape) != 4:
            raise ValueError(
                f"conv2d expects x of rank 4, [batch, height, width, channels]; got shape {tuple(x_shape)}."
            )
        if len(w_shape) != 4:
            raise ValueError(
                "conv2d expects a kernel of rank 4, [height, width, in_channels / groups, out_channels]; "
                f"got shape {tuple(w_shape)}."
            )
        n, h, w, c = (int(s) for s in x_shape)
        r, s, per_group, k = (int(s) for s in w_shape)
        if isinstance(groups, bool) or not isinstance(groups, int) or groups < 1:
            raise ValueError(f"groups must be a positive int; got {groups!r}.")
        if c != per_group * groups:
            raise ValueError(
                f"conv2d: x has {c} channels, but the kernel {tuple(w_shape)} with groups={groups} expects "
                f"{per_group * groups}. Give the kernel shape ({r}, {s}, {c} / groups, {k})."
            )
        if k % groups:
            raise ValueError(f"conv2d: out_channels ({k}) must be a multiple of groups ({groups}).")
        require_nonempty("conv2d", x=x_shape, kernel=w_shape)
        stride_pair, dilation_pair = pair(strides, "strides"), pair(dilation, "dilation")
        extent = ((r - 1) * dilation_pair[0] + 1, (s - 1) * dilation_pair[1] + 1)
        ends = resolve_padding(padding, (h, w), extent, stride_pair)
        require_window_fits("conv2d", (h, w), ends, extent)
        return cls(n, h, w, c, k, r, s, stride_pair, ends, dilation_pair, groups)

    @cached_property
    def window(self) -> Pair:  # type: ignore[override]  # there a field, here it follows from kernel and dilation
        """Height and width that a dilated kernel spans, in pixels."""
        return (
            (self.kernel_height - 1) * self.dilation[0] + 1,
            (self.kernel_width - 1) * self.dilation[1] + 1,
        )

    @cached_property
    def x_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.height, self.width, self.in_channels

    @cached_property
    def w_shape(self) -> tuple[int, int, int, int]:
        return self.kernel_height, self.kernel_width, self.in_channels // self.groups, self.out_channels

    @cached_property
    def y_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.out_height, self.out_width, self.out_channels

    @property
    def is_depthwise(self) -> bool:
        """One input channel a group."""
        return self.groups == self.in_channels and self.groups > 1

    @property
    def is_pointwise(self) -> bool:
        """A 1x1 kernel that reads every pixel once: a plain matrix product."""
        return (
            (self.kernel_height, self.kernel_width) == (1, 1)
            and self.strides == (1, 1)
            and self.padding == ((0, 0), (0, 0))
            and self.groups == 1
        )

    @property
    def flops(self) -> int:
        """Floating-point operations of one direction; a multiply-add counts as two."""
        r, s, per_group, k = self.w_shape
        return 2 * self.batch * self.out_height * self.out_width * r * s * per_group * k


@hashed_once
@dataclass(frozen=True)
class Pool2DGeometry(_SlidingWindow):
    """2-D pooling: x [N, H, W, C] -> y [N, P, Q, C]. Max pooling pads with -inf; average pooling leaves padding out."""

    batch: int
    height: int
    width: int
    channels: int
    window: Pair
    strides: Pair
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))

    @classmethod
    @remembered
    def of(
        cls,
        x_shape: Sequence[int],
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: Padding = "valid",
    ) -> Pool2DGeometry:
        """The geometry of pooling ``x`` [N, H, W, C]; ``strides`` are the window's size where not given.

        Raises ``ValueError`` for a wrong rank, empty sizes, a window larger than the padded input, or padding as wide
        as the window (a window of nothing but padding has no maximum and no mean).
        """
        if len(x_shape) != 4:
            raise ValueError(
                f"pooling expects x of rank 4, [batch, height, width, channels]; got shape {tuple(x_shape)}."
            )
        require_nonempty("pooling", x=x_shape)
        n, h, w, c = (int(s) for s in x_shape)
        window = pair(pool_size, "pool_size")
        stride_pair = window if strides is None else pair(strides, "strides")
        ends = resolve_padding(padding, (h, w), window, stride_pair)
        require_window_fits("pooling", (h, w), ends, window)
        if any(max(end) >= extent for end, extent in zip(ends, window, strict=True)):
            raise ValueError(f"pooling: padding {ends} must be smaller than the window {window}.")
        return cls(n, h, w, c, window, stride_pair, ends)

    @cached_property
    def x_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.height, self.width, self.channels

    @cached_property
    def y_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.out_height, self.out_width, self.channels

    @property
    def is_global(self) -> bool:
        """Whether there is one window, the whole image; with padding in front it would begin outside, and end early."""
        one = (self.out_height, self.out_width) == (1, 1) and self.window == (self.height, self.width)
        return one and self.padding[0][0] == self.padding[1][0] == 0

    @cached_property
    def argmax_dtype(self) -> str:
        """The smallest dtype that a position in the window fits."""
        return "uint8" if self.window[0] * self.window[1] <= 256 else "int32"

    @property
    def flops(self) -> int:
        """One comparison or addition for every window element."""
        return self.batch * self.out_height * self.out_width * self.channels * self.window[0] * self.window[1]


@hashed_once
@dataclass(frozen=True)
class MatmulGeometry:
    """``batch`` products of [m, k] and [k, n]; the flags say which operand is stored transposed."""

    batch: int
    m: int
    n: int
    k: int
    transpose_a: bool = False
    transpose_b: bool = False

    @classmethod
    @remembered
    def of(
        cls, a_shape: Sequence[int], b_shape: Sequence[int], transpose_a: bool = False, transpose_b: bool = False
    ) -> MatmulGeometry:
        """The geometry of a [..., m, k] times b [..., k, n], batch axes broadcast.

        Raises ``ValueError`` for ranks below two, inner sizes that differ, and batch axes that do not broadcast.
        """
        if len(a_shape) < 2 or len(b_shape) < 2:
            raise ValueError(
                f"matmul expects operands of rank 2 or more; got shapes {tuple(a_shape)} and {tuple(b_shape)}."
            )
        m, k = (a_shape[-1], a_shape[-2]) if transpose_a else (a_shape[-2], a_shape[-1])
        k_b, n = (b_shape[-1], b_shape[-2]) if transpose_b else (b_shape[-2], b_shape[-1])
        if k != k_b:
            raise ValueError(
                f"matmul: the inner sizes differ, {k} and {k_b}; a {tuple(a_shape)}"
                f"{' transposed' if transpose_a else ''}, b {tuple(b_shape)}{' transposed' if transpose_b else ''}."
            )
        batch = 1
        longest = max(len(a_shape), len(b_shape)) - 2
        a_batch = (1,) * (longest - len(a_shape) + 2) + tuple(a_shape[:-2])
        b_batch = (1,) * (longest - len(b_shape) + 2) + tuple(b_shape[:-2])
        for p, q in zip(a_batch, b_batch, strict=True):
            if p != q and 1 not in (p, q):
                raise ValueError(
                    f"matmul: batch axes {tuple(a_shape[:-2])} and {tuple(b_shape[:-2])} do not broadcast."
                )
            batch *= q if p == 1 else p
        return cls(batch, int(m), int(n), int(k), bool(transpose_a), bool(transpose_b))

    @property
    def flops(self) -> int:
        return 2 * self.batch * self.m * self.n * self.k


@hashed_once
@dataclass(frozen=True)
class RowsGeometry:
    """``rows`` rows of ``columns`` elements: softmax, normalisation, bias + activation, embedding."""

    rows: int
    columns: int

    @classmethod
    @remembered
    def of(cls, shape: Sequence[int], columns_axes: int = 1) -> RowsGeometry:
        """The last ``columns_axes`` axes of ``shape`` are the columns, all others the rows.

        >>> RowsGeometry.of((2, 3, 5))
        RowsGeometry(rows=6, columns=5)
        """
        rows, columns = 1, 1
        for size in shape[: len(shape) - columns_axes]:
            rows *= int(size)
        for size in shape[len(shape) - columns_axes :]:
            columns *= int(size)
        return cls(rows, columns)


@hashed_once
@dataclass(frozen=True)
class FlatGeometry:
    """``size`` elements in all, order irrelevant: random numbers, dropout, optimizer updates."""

    size: int


def require_nonempty(op: str, **shapes: Sequence[int]) -> None:
    """Raises ``ValueError`` if any of the named shapes has an axis of length zero."""
    for name, shape in shapes.items():
        if 0 in shape:
            raise ValueError(f"{op}: {name} is empty, shape {tuple(shape)}; every axis must be at least 1.")


def require_window_fits(op: str, size: Pair, padding: tuple[Pair, Pair], window: Pair) -> None:
    """Raises ``ValueError`` if the window is larger than the padded input."""
    padded = (size[0] + sum(padding[0]), size[1] + sum(padding[1]))
    if window[0] > padded[0] or window[1] > padded[1]:
        raise ValueError(
            f"{op}: the window {window} is larger than the padded input {padded} (input {size}, padding {padding}). "
            "Use a smaller window, or padding='same'."
        )

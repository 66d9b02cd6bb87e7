"""What a layer expects of its input's shape."""

from __future__ import annotations

from typing import Any

from deepcore.backend.dtype import standardize_dtype


class InputSpec:
    """Rank, sizes and dtype that a layer's input must have.

    Args:
        dtype: of its elements.
        shape: the whole shape; None where any size will do.
        ndim, max_ndim, min_ndim: the rank, or its bounds.
        axes: axis -> size.
        allow_last_axis_squeeze: whether a last axis of size 1 may be missing, here or there.
        name: the key of this input, where several come in a dictionary.
        optional: whether None may stand in its place.

    Raises ``TypeError`` for axes that are no whole numbers, ``ValueError`` for one beyond the rank.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: tuple[int | None, ...] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = None if dtype is None else standardize_dtype(dtype)
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.name, self.optional, self.allow_last_axis_squeeze = name, optional, allow_last_axis_squeeze
        try:
            self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        except (AttributeError, TypeError, ValueError):
            raise TypeError(f"axes is a dictionary of whole numbers and sizes; got {axes!r}.") from None
        rank = self.ndim or max_ndim
        if self.axes and rank is not None and max(self.axes) >= rank:
            raise ValueError(f"axis {max(self.axes)} of axes is none of an input of rank {rank}.")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make it anew."""
        return {key: value for key, value in vars(self).items() if key not in ("name", "allow_last_axis_squeeze")}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """The specification of ``get_config``'s dictionary."""
        return cls(**config)

    def check(self, shape: Any, dtype: Any = None) -> None:
        """Raises ``ValueError`` with what was expected and the shape, or the dtype, that came."""
        if None not in (dtype, self.dtype) and dtype != self.dtype:
            raise ValueError(f"expected an input of {self.dtype}, got {dtype}.")
        rank, expected = len(shape), self.shape
        if self.allow_last_axis_squeeze:
            expected = expected[:-1] if expected and expected[-1] == 1 else expected
            shape = shape[:-1] if expected is not None and rank > len(expected) and shape[-1] == 1 else shape
        if self.ndim is not None and rank != self.ndim and not self.allow_last_axis_squeeze:
            hint = " If it has one channel, give it that axis: x[..., None]." if rank == self.ndim - 1 == 3 else ""
            raise ValueError(f"expected an input of rank {self.ndim}, got shape {shape} of rank {rank}.{hint}")
        if self.min_ndim is not None and rank < self.min_ndim:
            raise ValueError(f"expected an input of rank {self.min_ndim} or more, got shape {shape} of rank {rank}.")
        if self.max_ndim is not None and rank > self.max_ndim:
            raise ValueError(f"expected an input of rank {self.max_ndim} or less, got shape {shape} of rank {rank}.")
        sizes = dict(self.axes)
        if expected is not None:
            sizes.update({axis: size for axis, size in enumerate(expected) if size is not None})
        for axis, size in sizes.items():
            found = shape[axis] if -len(shape) <= axis < len(shape) else "no such axis"
            if found not in (size, None):
                raise ValueError(f"expected size {size} on axis {axis} of its input, got {found} (shape {shape}).")

    def __repr__(self) -> str:
        given = {k: v for k, v in vars(self).items() if v}
        return f"InputSpec({', '.join(f'{k}={v}' for k, v in given.items())})"

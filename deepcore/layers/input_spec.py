"""What a layer expects of its input."""

from __future__ import annotations

from typing import Any

from deepcore.config import dtype_of


class InputSpec:
    """Rank, sizes and dtype that a layer's input must have; a layer of several inputs has a list of these.

    Args:
        dtype: of the input.
        shape: the whole shape; None where any size will do.
        ndim, max_ndim, min_ndim: the rank, or its bounds.
        axes: axis -> size, None for any.
        allow_last_axis_squeeze: whether a last axis of size one, there or in ``shape``, does not count.
        name: of this input in a dictionary of several.
        optional: whether None will do.

    Raises ``TypeError`` for axes that are not integers, and ``ValueError`` for those beyond the rank.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, Any] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = None if dtype is None else dtype_of(dtype)
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        try:
            self.axes = {int(axis): size for axis, size in dict(axes or {}).items()}
        except (TypeError, ValueError):
            raise TypeError(
                f"axes must be a dictionary of sizes by the number of the axis; got axes={axes!r}."
            ) from None
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional
        most = self.max_ndim if self.ndim is None else self.ndim
        if most is not None and any(axis >= most for axis in self.axes):
            raise ValueError(f"axes must be those of an input of rank {most} at most; got axes={axes!r}.")

    def check(self, shape: Any, dtype: Any = None) -> None:
        """Raises ``ValueError`` with what was expected and the shape, or dtype, that came."""
        rank = len(shape)
        squeezed = self.allow_last_axis_squeeze
        if self.ndim is not None and rank != self.ndim and not squeezed:
            hint = " If it has one channel, give it that axis: x[..., None]." if rank == self.ndim - 1 == 3 else ""
            raise ValueError(f"expected an input of rank {self.ndim}, got shape {shape} of rank {rank}.{hint}")
        if self.min_ndim is not None and rank < self.min_ndim:
            raise ValueError(f"expected an input of rank {self.min_ndim} or more, got shape {shape} of rank {rank}.")
        if self.max_ndim is not None and rank > self.max_ndim:
            raise ValueError(f"expected an input of rank {self.max_ndim} or less, got shape {shape} of rank {rank}.")
        if self.dtype is not None and dtype is not None and dtype != self.dtype:
            raise ValueError(f"expected an input of {self.dtype}, got {dtype}.")
        for axis, size in self.axes.items():
            if size is not None and (not -rank <= axis < rank or shape[axis] not in (size, None)):
                found = shape[axis] if -rank <= axis < rank else "no such axis"
                raise ValueError(f"expected size {size} on axis {axis} of its input, got {found} (shape {shape}).")
        if self.shape is not None:
            sizes, found = (s[:-1] if squeezed and s[-1:] == (1,) else s for s in (self.shape, tuple(shape)))
            if len(sizes) != len(found) or any(
                None not in (a, b) and a != b for a, b in zip(sizes, found, strict=True)
            ):
                raise ValueError(f"expected an input of shape {self.shape}, got {shape}.")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make it anew."""
        config = {**vars(self), "dtype": None if self.dtype is None else self.dtype.name}
        return {key: value for key, value in config.items() if key not in ("name", "allow_last_axis_squeeze")}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        """The specification of ``get_config``'s dictionary."""
        return cls(**config)

    def __repr__(self) -> str:
        given = {k: v for k, v in vars(self).items() if v}
        return f"InputSpec({', '.join(f'{k}={v}' for k, v in given.items())})"

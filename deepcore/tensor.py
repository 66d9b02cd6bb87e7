"""Tensor: an array, the device that it is on, and its place on the tape.

Operators and methods such as ``x + y``, ``x.sum()`` and ``x[0]`` are the functions of ``deepcore.ops``, which installs
them here (``deepcore/ops/operators.py``), because a tensor knows nothing of what is computed with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from deepcore.backend.numpy import packed
from deepcore.device import CPU, Device, DeviceLike, as_device, current_device

if TYPE_CHECKING:
    from deepcore.autograd.graph import Node

FLOATX = np.dtype("float32")


class Tensor:
    """An n-dimensional array that operations record for a backward pass.

    Args:
        data: anything that NumPy makes an array of, a tensor, or (on a GPU) anything with
            ``__cuda_array_interface__`` or DLPack. An array of the right dtype and device is shared, not copied.
        dtype: a NumPy dtype or its name. By default that of an array; float32 for Python floats, int32 for Python
            ints.
        device: a device or its name; by default where the data is, or the current device for Python numbers and lists.
        requires_grad: record what is computed from this tensor and collect its gradient in ``grad``.

    Raises ``ValueError`` for data that is not numeric, as Keras does, ``RuntimeError`` for a gradient of integers.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2., 4.], dtype=float32)
    """

    __slots__ = (
        "__weakref__",
        "_array",
        "_leaf_requires_grad",
        "device",
        "grad",
        "mask",
        "node",
        "output_index",
        "version",
    )

    # NumPy must leave array * tensor to Tensor.__rmul__.
    __array_priority__ = 1000
    __array_ufunc__ = None

    if TYPE_CHECKING:  # installed by deepcore/ops/operators.py

        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __rfloordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __rmod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __eq__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def max(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def min(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def any(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def all(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...
        def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor: ...
        def argmin(self, axis: int | None = None, keepdims: bool = False) -> Tensor: ...
        def reshape(self, newshape: Any) -> Tensor: ...
        def transpose(self, axes: Any = None) -> Tensor: ...
        def squeeze(self, axis: Any = None) -> Tensor: ...
        def astype(self, dtype: Any) -> Tensor: ...
        def take(self, indices: Any, axis: int | None = None) -> Tensor: ...
        def alias(self) -> Tensor: ...
        def to(self, device: DeviceLike) -> Tensor: ...
        @property
        def T(self) -> Tensor: ...  # noqa: N802

    _array: Any
    device: Device
    grad: Tensor | None
    node: Node | None
    mask: Any  # which steps of a sequence count, where a layer such as Masking has said so

    def __init__(
        self, data: Any, dtype: Any = None, device: DeviceLike | None = None, requires_grad: bool = False
    ) -> None:
        if isinstance(data, Tensor):
            self.device = data.device if device is None else as_device(device)
            array = data._array if self.device == data.device else _copy_between(data._array, data.device, self.device)
            if dtype is not None and array.dtype != dtype:
                array = self.device.run(array.astype, dtype)
        else:
            self.device = _device_of(data) if device is None else as_device(device)
            array = as_array(data, dtype, self.device)
        self._array = array
        self.grad = None
        self.mask = None
        self.node = None
        self.output_index = 0
        self.version = 0
        self._leaf_requires_grad = False
        if requires_grad:
            self.requires_grad = True

    def __getstate__(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a copy, or a pickle, keeps: values and settings, not the place on the tape."""
        kept = {name: getattr(self, name) for name in ("_array", "device", "grad", "mask", "_leaf_requires_grad")}
        return getattr(self, "__dict__", {}), {**kept, "node": None, "output_index": 0, "version": 0}

    def __setstate__(self, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
        attributes, slots = state
        if attributes:
            self.__dict__.update(attributes)
        for name, value in slots.items():
            setattr(self, name, value)

    @classmethod
    def wrap(cls, array: Any, device: Device, node: Node | None = None, index: int = 0) -> Tensor:
        """The tensor of an array that is already where it should be; nothing is checked."""
        self = object.__new__(Tensor)
        self._array = (
            np.asarray(array) if isinstance(array, np.generic) else array
        )  # NumPy makes scalars of 0-d results
        self.device = device
        self.grad = None
        self.mask = None
        self.node = node
        self.output_index = index
        self.version = 0
        self._leaf_requires_grad = False
        return self

    # What it is

    @property
    def data(self) -> Any:
        """The array that the values are in. What is made of a variable's array, and kept for as long as it is not
        assigned to, is given up once the array is handed out, because it may then be written to unseen."""
        packed.escaped(self._array)
        return self._array

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._array.dtype

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def size(self) -> int:
        return self._array.size

    @property
    def requires_grad(self) -> bool:
        """Whether a backward pass reaches this tensor."""
        return self.node is not None or self._leaf_requires_grad

    @requires_grad.setter
    def requires_grad(self, on: bool) -> None:
        if self.node is not None:
            raise RuntimeError(
                "requires_grad belongs to tensors that were not computed from others; use detach() for a tensor that "
                "is cut from the tape."
            )
        if on and self.dtype.kind != "f":
            raise RuntimeError(f"Only floating tensors have gradients; this one is {self.dtype}.")
        self._leaf_requires_grad = bool(on)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def __repr__(self) -> str:
        body = np.array2string(self._values(), separator=", ", prefix="Tensor(", threshold=100)
        where = "" if self.device == CPU else f", device={str(self.device)!r}"
        tape = f", made by {self.node.primitive.name}" if self.node is not None else ""
        leaf = ", requires_grad=True" if self._leaf_requires_grad else ""
        return f"Tensor({body}, dtype={self.dtype}{where}{leaf}{tape})"

    # Its values

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values as a NumPy array: the tensor's own memory on the CPU, a copy from a GPU."""
        packed.escaped(self._array)
        return self._values()

    def _values(self) -> np.ndarray[Any, Any]:
        """The values as a NumPy array that does not leave the library."""
        return self._array if self.device.kind == "cpu" else self.device.backend.to_host(self._array)

    def item(self) -> Any:
        """The one value as a Python number. Raises ``ValueError`` if there is not exactly one."""
        if self._array.size != 1:
            raise ValueError(f"item() needs a tensor of one element; this one has shape {self.shape}.")
        return self._array.item() if self.device.kind == "cpu" else self._values().item()

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        return self._values().tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"The truth of a tensor with shape {self.shape} is ambiguous; use ops.any(x) or ops.all(x)."
            )
        return bool(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.size != 1:
            raise TypeError(f"Only an integer tensor of one element is an index; got {self.dtype}{list(self.shape)}.")
        return int(self.item())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if self.device.kind == "cuda":
            raise TypeError(
                "NumPy was given a tensor on a GPU, which would copy it unasked. Use tensor.numpy() to copy it."
            )
        values = self.numpy()
        array = values if dtype is None else values.astype(dtype, copy=False)
        if copy and array is self._array:
            return array.copy()
        if copy is False and array is not self._array:
            raise ValueError(f"A {self.dtype} tensor cannot become {array.dtype} without a copy.")
        return array

    def __dlpack__(self, **options: Any) -> Any:
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()

    @property
    def __cuda_array_interface__(self) -> Any:
        if self.device.kind != "cuda":
            raise AttributeError(f"A tensor on {self.device} has no __cuda_array_interface__; tensor.to('cuda') has.")
        return self._array.__cuda_array_interface__

    # Its place on the tape, and elsewhere

    def detach(self) -> Tensor:
        """The same memory, cut from the tape."""
        return Tensor.wrap(self._array, self.device)

    def computed(self) -> Tensor:
        """The tensor itself; the result of one that waits with its computation until it is looked at."""
        return self

    def backward(
        self, gradient: Tensor | None = None, *, retain_graph: bool = False, create_graph: bool = False
    ) -> None:
        """Adds to ``grad`` of every leaf the gradient of this tensor; see ``deepcore.autograd.backward``."""
        from deepcore.autograd.engine import backward

        backward([self], [gradient], create_graph=create_graph, retain_graph=retain_graph or create_graph)

    def assign(self, value: Any) -> None:
        """Writes ``value`` into this tensor's memory. A pending backward pass that needs the old value will raise.

        Raises ``ValueError`` if the shapes differ, ``RuntimeError`` if the tensor was computed from others.
        """
        if self.node is not None:
            raise RuntimeError("A tensor that was computed from others cannot be assigned to; assign to a leaf.")
        array = value._array if isinstance(value, Tensor) and value.device == self.device else None
        if array is None:
            array = Tensor(value, device=self.device)._array
        if array.shape != self.shape:
            raise ValueError(f"assign: the tensor has shape {self.shape}; got a value of shape {array.shape}.")
        with self.device.active(), packed.writing(self._array):
            self._array[...] = array
        self.version += 1


def _device_of(data: Any) -> Device:
    """Where new data goes: an array on a GPU stays there, everything else goes to the current device."""
    if hasattr(data, "__cuda_array_interface__"):
        if hasattr(data, "__dlpack_device__"):
            return as_device(f"cuda:{int(data.__dlpack_device__()[1])}")
        first = as_device("cuda")  # says why if there is none
        return as_device(f"cuda:{first.backend.xp.asarray(data).device.id}")
    return current_device()


def as_array(data: Any, dtype: Any, device: Device) -> Any:
    """``data`` as an array of ``device``'s namespace, without a copy where dtype and place already fit."""
    backend = device.backend
    xp = backend.xp
    if isinstance(data, (np.ndarray, xp.ndarray)):
        array = data
    elif hasattr(data, "__cuda_array_interface__") and xp is np:
        raise TypeError(
            f"A GPU array ({type(data).__name__}) was given to a tensor on {device}, which would copy it unasked. "
            "Copy it to the CPU first, or make the tensor with device='cuda'."
        )
    elif hasattr(data, "__cuda_array_interface__"):
        array = xp.asarray(data)
    elif hasattr(data, "__dlpack__") and not isinstance(data, np.generic):
        array = np.from_dlpack(data)
    else:
        array = _from_python(data, dtype)
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"A tensor holds numbers; got {_describe(data)}, which NumPy reads as dtype {array.dtype}. "
            "Convert it to a float, integer or boolean array first."
        )
    if not isinstance(array, np.ndarray):
        return device.run(_adopted, array, dtype, device.index)
    array = in_native_order(array if dtype is None else array.astype(dtype, copy=False))
    if device.kind == "cpu":
        return array
    # A number costs no copy. An array of one element does: its value is not known before the program runs.
    return backend.scalar(array) if isinstance(data, bool | int | float | np.generic) else backend.from_host(array)


def in_native_order(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``array`` with its bytes in the order that kernels read; files may have the other one."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _adopted(array: Any, dtype: Any, index: int) -> Any:
    """An array of any GPU, on GPU ``index``."""
    from deepcore.backend.cuda.transfer import between

    here = between(array, index)
    return here if dtype is None else here.astype(dtype, copy=False)


def _from_python(data: Any, dtype: Any) -> np.ndarray[Any, Any]:
    """An array of Python numbers and nested sequences; float32 and int32 where Python says float and int.

    Where a ``dtype`` is asked for, they are left to it as they are: float64 must not be rounded on the way.
    """
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"A tensor needs rows of equal length; got {_describe(data)} ({error}).") from None
    if dtype is None and not hasattr(data, "dtype") and not _holds_arrays(data):
        if array.dtype == np.float64:
            array = array.astype(FLOATX)
        elif array.dtype == np.int64 and (array.size == 0 or abs(array).max() < 2**31):
            array = array.astype(np.int32)
    return array


def _holds_arrays(data: Any) -> bool:
    """Whether a nested sequence ends in things that bring a dtype of their own."""
    while isinstance(data, list | tuple) and data:
        data = data[0]
    return hasattr(data, "dtype")


def _describe(data: Any) -> str:
    if hasattr(data, "shape"):
        return f"{type(data).__name__} of dtype {getattr(data, 'dtype', '?')} and shape {tuple(data.shape)}"
    text = repr(data)
    return f"{type(data).__name__} {text if len(text) < 60 else text[:57] + '...'}"


def _copy_between(array: Any, source: Device, target: Device) -> Any:
    """A copy of ``array`` on ``target``; between the CPU and the emulator, which share memory, the array itself."""
    if source.kind == target.kind == "cuda":
        return _adopted(array, None, target.index)
    return target.backend.from_host(source.backend.to_host(array))

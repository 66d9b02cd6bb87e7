"""PyTorch on the CPU: ``channels_last`` and contiguous, gradients by the operators that its autograd calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepcore.backend.geometry import Conv2DGeometry, MatmulGeometry, Pool2DGeometry
from deepcore.benchmarks.case import Case
from deepcore.benchmarks.learner import Learner
from deepcore.benchmarks.network import Network
from deepcore.benchmarks.peer import Peer, Variant, huge_pages, set_environment, version_of
from deepcore.errors import UnsupportedCallError

# Lets PyTorch's allocator ask for huge pages, as NumPy's does anyway; read once, when the allocator is first used.
ENVIRONMENT = {"THP_MEM_ALLOC_ENABLE": "1"}


def open_peer(threads: int) -> Peer:
    """PyTorch, set to ``threads``."""
    environment = set_environment(ENVIRONMENT)
    import torch

    torch.set_num_threads(threads)
    settings = environment | {
        "threads": str(torch.get_num_threads()),
        "transparent_hugepage": huge_pages(),
        "mkldnn": str(torch.backends.mkldnn.is_available()),
        "mkl": str(torch.backends.mkl.is_available()),
    }
    return Peer("torch", version_of("torch"), threads, variants, _learners, settings)


def _learners(network: Network, training: bool) -> list[Learner]:
    from deepcore.benchmarks.peer.torch_network import learners

    return learners(network, training)


def variants(case: Case) -> list[Variant]:
    """Both memory formats of a convolution or a pooling; both ways to keep the weights of a product."""
    g = case.geometry
    if isinstance(g, MatmulGeometry):
        return _products(case, g)
    if any(begin != end for begin, end in g.padding):
        raise UnsupportedCallError(f"PyTorch pads both ends alike; the layer pads {g.padding}")
    return [_images(case, last) for last in (True, False)]


# --- images ----------------------------------------------------------------------------------------------------------


def _images(case: Case, last: bool) -> Variant:
    import torch

    form = torch.channels_last if last else torch.contiguous_format

    def tensor(array: np.ndarray, order: tuple[int, ...] = (0, 3, 1, 2)) -> Any:
        # A clone: memory that PyTorch allocated, as a program of its own would have.
        return torch.from_numpy(np.ascontiguousarray(array)).permute(order).clone(memory_format=form)

    def empty(shape: tuple[int, ...]) -> Any:
        """Where an operator wants a tensor of which it reads the sizes alone."""
        n, h, w, c = shape
        return torch.zeros((n, c, h, w), dtype=getattr(torch, case.dtype)).contiguous(memory_format=form)

    make = {
        "conv2d": _convolution,
        "max_pool2d": _max_pooling,
        "avg_pool2d": _average_pooling,
    }[case.op.rpartition("_")[0]]
    prepare, run, restore = make(torch, case, tensor, empty)

    def timed(arguments: Sequence[Any]) -> Any:
        with torch.inference_mode():
            return run(arguments)

    name, layout = ("channels_last", "NHWC") if last else ("contiguous", "NCHW")
    return Variant(name, layout, prepare, timed, restore)


Parts = tuple[Callable[[Sequence[np.ndarray]], list[Any]], Callable[[Sequence[Any]], Any], Callable[[Any], Any]]


def _convolution(torch: Any, case: Case, tensor: Any, empty: Any) -> Parts:
    g = case.geometry
    assert isinstance(g, Conv2DGeometry)
    strides, padding, dilation = list(g.strides), [begin for begin, _ in g.padding], list(g.dilation)
    r, s, per_group, k = g.w_shape
    backward = torch.ops.aten.convolution_backward.default

    def kernel(w: np.ndarray) -> Any:
        return tensor(w, (3, 2, 0, 1))

    if case.direction == "fprop":
        return (
            lambda arrays: [tensor(arrays[0]), kernel(arrays[1])],
            lambda a: torch.conv2d(a[0], a[1], None, strides, padding, dilation, g.groups),
            _channels_last,
        )
    shared = (None, strides, padding, dilation, False, [0, 0], g.groups)
    if case.direction == "dgrad":
        return (
            lambda arrays: [tensor(arrays[0]), empty(g.x_shape), kernel(arrays[1])],
            lambda a: backward(*a, *shared, [True, False, False])[0],
            _channels_last,
        )
    return (
        lambda arrays: [tensor(arrays[1]), tensor(arrays[0]), kernel(np.zeros((r, s, per_group, k), case.dtype))],
        lambda a: backward(*a, *shared, [False, True, False])[1],
        lambda dw: np.ascontiguousarray(dw.numpy().transpose(2, 3, 1, 0)),
    )


def _max_pooling(torch: Any, case: Case, tensor: Any, empty: Any) -> Parts:
    g = case.geometry
    assert isinstance(g, Pool2DGeometry)
    sizes = (list(g.window), list(g.strides), [begin for begin, _ in g.padding], [1, 1], False)
    forward = torch.ops.aten.max_pool2d_with_indices.default
    backward = torch.ops.aten.max_pool2d_with_indices_backward.default
    # PyTorch counts positions in the whole image, deepcore in the window.
    top = np.arange(g.out_height)[:, None, None] * g.strides[0] - g.padding[0][0]
    left = np.arange(g.out_width)[:, None] * g.strides[1] - g.padding[1][0]

    def in_image(argmax: np.ndarray) -> np.ndarray:
        i, j = np.divmod(argmax.astype(np.int64), g.window[1])
        return (top + i) * g.width + left + j

    def in_window(result: Any) -> tuple[np.ndarray, np.ndarray]:
        y, index = map(_channels_last, result)
        row, column = np.divmod(index, g.width)
        return y, ((row - top) * g.window[1] + column - left).astype(g.argmax_dtype)

    if case.direction == "fprop":
        return lambda arrays: [tensor(arrays[0])], lambda a: forward(a[0], *sizes), in_window
    return (
        lambda arrays: [tensor(arrays[0]), empty(g.x_shape), tensor(in_image(arrays[1]))],
        lambda a: backward(a[0], a[1], *sizes, a[2]),
        _channels_last,
    )


def _average_pooling(torch: Any, case: Case, tensor: Any, empty: Any) -> Parts:
    g = case.geometry
    assert isinstance(g, Pool2DGeometry)
    sizes = (list(g.window), list(g.strides), [begin for begin, _ in g.padding], False, False)
    backward = torch.ops.aten.avg_pool2d_backward.default
    if case.direction == "fprop":
        run = (
            (lambda a: torch.mean(a[0], (2, 3), keepdim=True))  # what adaptive_avg_pool2d(x, 1) calls
            if g.is_global
            else lambda a: torch.ops.aten.avg_pool2d.default(a[0], *sizes)
        )
        return lambda arrays: [tensor(arrays[0])], run, _channels_last
    return (
        lambda arrays: [tensor(arrays[0]), empty(g.x_shape)],
        lambda a: backward(a[0], a[1], *sizes, None),
        _channels_last,
    )


def _channels_last(y: Any) -> np.ndarray:
    return np.ascontiguousarray(y.numpy().transpose(0, 2, 3, 1))


# --- products --------------------------------------------------------------------------------------------------------


def _products(case: Case, g: MatmulGeometry) -> list[Variant]:
    import torch

    def multiply(arguments: Sequence[Any]) -> Any:
        a, b = arguments
        with torch.inference_mode():
            return torch.matmul(a.mT if g.transpose_a else a, b.mT if g.transpose_b else b)

    def weights_transposed(arguments: Sequence[Any]) -> Any:
        """As ``torch.nn.Linear`` does it, whose weights are [outputs, inputs]."""
        a, b = arguments
        with torch.inference_mode():
            if case.direction == "wgrad":
                return torch.matmul(b.mT, a)
            return torch.matmul(a.mT if g.transpose_a else a, b if g.transpose_b else b.mT)

    def plain(arrays: Sequence[np.ndarray]) -> list[Any]:
        return [torch.from_numpy(array).clone() for array in arrays]

    def turned(arrays: Sequence[np.ndarray]) -> list[Any]:
        a, b = plain(arrays)
        return [a, b if case.direction == "wgrad" else b.mT.contiguous()]

    found = [Variant("row-major", "row-major", plain, multiply, lambda y: y.numpy())]
    if case.direction != "wgrad" or (g.transpose_a and not g.transpose_b):
        restore = (lambda y: np.ascontiguousarray(y.numpy().T)) if case.direction == "wgrad" else (lambda y: y.numpy())
        found.append(Variant("weights transposed", "row-major", turned, weights_transposed, restore))
    return found

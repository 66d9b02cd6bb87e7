"""What a drawn model does in fewer passes where nothing learns and nothing is recorded, as in ``predict``.

Batch normalisation with moving statistics is linear, so that a convolution with other weights does the work of both
(Jacob et al. 2018, section 3.2); zeros around an image are the convolution's own padding; an activation is done while
the sums are written. The layers that one layer can stand for are found once for a graph. The one that stands for them
is made when it is first called, and made anew after one of their weights was written or one of their attributes set.
Where it could mean something else (a subclass, a mask, a penalty on an output that would not exist, weights that may
be written to unseen) the layers are called as they are.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from deepcore import activations, ops
from deepcore.autograd.graph import is_recording
from deepcore.backend.numpy import packed
from deepcore.layers import (
    ELU,
    Activation,
    Add,
    BatchNormalization,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    LeakyReLU,
    ReLU,
    SeparableConv1D,
    SeparableConv2D,
    ZeroPadding1D,
    ZeroPadding2D,
)
from deepcore.layers.layer import Layer, in_training
from deepcore.symbolic import CallNode, SymbolicTensor
from deepcore.tensor import Tensor
from deepcore.variable import Variable

_allowed: ContextVar[bool] = ContextVar("deepcore_fusion", default=True)


@contextlib.contextmanager
def use_fusion(on: bool) -> Iterator[None]:
    """Within the block models call layers together where they can, which is the default, or always one by one.

    Rounding alone differs. ``Model.fused_layers`` says which layers are called together.

    >>> with use_fusion(False):
    ...     is_fusing()
    False
    """
    token = _allowed.set(bool(on))
    try:
        yield
    finally:
        _allowed.reset(token)


def is_fusing() -> bool:
    """Whether models call layers together now: nothing is recorded, and no layer is told that it is trained."""
    return not is_recording() and not in_training() and _allowed.get()


# Layers that others are merged into: the weight that is scaled, and a factor for each output channel in a shape that
# broadcasts with it.
_LAST: Callable[[Tensor, Any], Tensor] = lambda scale, kernel: scale  # noqa: E731
_BY_CHANNEL: Callable[[Tensor, Any], Tensor] = lambda scale, kernel: ops.reshape(scale, kernel.shape[-2:])  # noqa: E731
_BEFORE_LAST: Callable[[Tensor, Any], Tensor] = lambda scale, kernel: ops.expand_dims(scale, -1)  # noqa: E731
_PRODUCTS: dict[type, tuple[str, Callable[[Tensor, Any], Tensor]]] = {
    Dense: ("kernel", _LAST),
    Conv1D: ("kernel", _LAST),
    Conv2D: ("kernel", _LAST),
    Conv1DTranspose: ("kernel", _BEFORE_LAST),
    Conv2DTranspose: ("kernel", _BEFORE_LAST),
    DepthwiseConv1D: ("kernel", _BY_CHANNEL),
    DepthwiseConv2D: ("kernel", _BY_CHANNEL),
    SeparableConv1D: ("pointwise_kernel", _LAST),
    SeparableConv2D: ("pointwise_kernel", _LAST),
}
_PADDINGS: dict[type, tuple[type, ...]] = {
    ZeroPadding1D: (Conv1D, DepthwiseConv1D, SeparableConv1D),
    ZeroPadding2D: (Conv2D, DepthwiseConv2D, SeparableConv2D),
}


def _of_relu(layer: Any) -> Any:
    if layer.negative_slope or layer.threshold:
        return None
    return {None: activations.relu, 6: activations.relu6}.get(layer.max_value)


_ACTIVATIONS: dict[type, Callable[[Any], Any]] = {
    Activation: lambda layer: layer.activation,
    ReLU: _of_relu,
    LeakyReLU: lambda layer: activations.leaky_relu if layer.negative_slope == 0.2 else None,
    ELU: lambda layer: activations.elu if layer.alpha == 1 else None,
}


def _activation_of(layer: Layer) -> str | None:
    """The name of what the layer does, if a product can do it in the same pass."""
    function = _ACTIVATIONS[type(layer)](layer) if type(layer) in _ACTIVATIONS else None
    return None if function is None else activations.epilogue_of(function)


def _is_plain(layer: Layer) -> bool:
    """Whether calling the layer does what its class says, in the dtype of its weights, and nothing else."""
    policy = layer.dtype_policy
    return (
        layer.built
        and layer.activity_regularizer is None
        and policy.compute_dtype == policy.variable_dtype
        and "call" not in vars(layer)
    )


def _can_follow(product: Any, layer: Layer, rank: int) -> bool:
    """Whether ``layer`` can be merged into ``product``, whose output, of so many axes, is its input."""
    if activations.epilogue_of(product.activation) != "linear":
        return False
    if type(layer) is BatchNormalization:
        return layer.axis % rank == getattr(product, "channel_axis", -1) % rank
    return _activation_of(layer) is not None


def _pads(layer: Any, product: Any) -> bool:
    return (
        type(product) in _PADDINGS.get(type(layer), ())
        and product.padding == "valid"
        and layer.data_format == product.data_format
    )


@dataclass(frozen=True)
class _Made:
    """The layer that stands for several, and what it was made of: attributes, weights and what they held."""

    attributes: list[Any]
    weights: list[Tensor]
    versions: tuple[int, ...] | None
    one: Layer | None


class Fused:
    """Layers that are called one after the other, or as one layer that does the same: padding, a product, batch
    normalisation, an activation.

    Attributes:
        layers: in the order of their calls.
        rank: number of axes of their output.
    """

    def __init__(self, layers: Sequence[Layer], rank: int) -> None:
        self.layers = tuple(layers)
        self.rank = rank
        self._at = next(i for i, layer in enumerate(layers) if type(layer) in _PRODUCTS)
        self._made: _Made | None = None

    def __call__(self, x: Tensor) -> Tensor:
        one = self.as_one() if getattr(x, "mask", None) is None else None
        if one is None:
            for layer in self.layers:
                x = layer(x)
            return x
        # What Layer.__call__ does beyond this is for layers that are built, drawn, masked or trained.
        try:
            x = one._as_input(x)
            one._check_inputs(x)
            return one.call(x)
        except (TypeError, ValueError) as error:
            one._sign(error)
            raise

    @property
    def is_one(self) -> bool:
        """Whether they are called as one layer now, of their present attributes."""
        return self.as_one() is not None

    def as_one(self) -> Layer | None:
        """The layer that does what all do, of their present weights and attributes; None if there is none."""
        made = self._made
        attributes = [layer._looked_up() for layer in self.layers]
        if made is None or made.attributes != attributes:
            weights = self._scaled_weights()
        elif made.versions == packed.versions([weight._array for weight in made.weights]):
            return made.one
        else:
            weights = made.weights
        versions = packed.versions([weight._array for weight in weights])
        one = None if versions is None else self._merged()
        self._made = _Made(attributes, weights, versions, one)
        return one

    def _scaled_weights(self) -> list[Tensor]:
        """What the weights of the one layer are computed from; nothing where they are those of the product."""
        found: list[Any] = []
        for norm in self.layers:
            if isinstance(norm, BatchNormalization):
                product: Any = self.layers[self._at]
                found = [getattr(product, _PRODUCTS[type(product)][0]), product.bias]
                found += [norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance]
        return [weight for weight in found if weight is not None]

    def _merged(self) -> Layer | None:
        product: Any = self.layers[self._at]
        if any(not _is_plain(layer) or layer.dtype_policy != product.dtype_policy for layer in self.layers):
            return None
        one = copy.copy(product)
        padding: Any
        for padding in self.layers[: self._at]:
            if not _pads(padding, product):
                return None
            one.padding = one.of_image(padding.ends, (0, 0))
        for layer in self.layers[self._at + 1 :]:
            if not _can_follow(one, layer, self.rank):
                return None
            if isinstance(layer, BatchNormalization):
                _scale(one, layer)
            else:
                one.activation = activations.get(_activation_of(layer))
        return one

    def __repr__(self) -> str:
        return f"<{' + '.join(layer.name for layer in self.layers)}>"


def _scale(product: Any, norm: Any) -> None:
    """Puts ``norm`` into weights and bias of ``product``: scale * (w x + b - mean) + beta."""
    name, shaped = _PRODUCTS[type(product)]
    kernel, mean = getattr(product, name), norm.moving_mean
    gamma, beta = norm._parameters(mean, mean.size)
    scale = gamma * ops.rsqrt(norm.moving_variance + norm.epsilon)
    shift = beta - mean * scale if product.bias is None else beta + (product.bias - mean) * scale
    # Variables, because what kernels make of these is kept.
    for attribute, value in ((name, kernel * shaped(scale, kernel)), ("bias", shift)):
        setattr(product, attribute, Variable(value, trainable=False, name=attribute, device=value.device))


class FusedSum:
    """A sum of two tensors and the activation behind it, in one pass.

    Attributes:
        layers: the two layers.
        over: which of the two nobody else has, so that the result may take its place; None for neither.
    """

    def __init__(self, add: Layer, activation: Layer, over: int | None) -> None:
        self.layers = self.add, self.activation = add, activation
        self.over = over

    def __call__(self, inputs: list[Tensor]) -> Tensor:
        x, other = inputs if self.over != 1 else inputs[::-1]
        if not (self.is_one and self._fit(x, other)):
            return self.activation(self.add(inputs))
        # One is a bias of the other, both laid out in a row.
        row, bias = x._array.reshape(1, -1), other._array.reshape(-1)
        out = None if self.over is None else row
        y = x.device.run(x.device.backend.bias_activation, row, bias, _activation_of(self.activation), out)
        return Tensor.wrap(y.reshape(x.shape), x.device)

    @property
    def is_one(self) -> bool:
        """Whether there is one pass for them, of their present attributes."""
        return _activation_of(self.activation) is not None and all(map(_is_plain, self.layers))

    def _fit(self, x: Tensor, other: Tensor) -> bool:
        return (
            x.mask is None
            and other.mask is None
            and x.shape == other.shape
            and x.device == other.device
            and x.dtype == other.dtype == self.add.compute_dtype == self.activation.compute_dtype
        )

    def __repr__(self) -> str:
        return f"<{self.add.name} + {self.activation.name}>"


class Step:
    """One call when a graph is run.

    Attributes:
        operation: what is called: a layer, a function, or several layers as one.
        args, kwargs, inputs: of the drawn call that it is, or of the first of those that are one.
        node: the drawn call whose outputs it gives.
        is_simple: whether it is called with one tensor and nothing else.
    """

    def __init__(self, operation: Any, first: CallNode, last: CallNode) -> None:
        self.operation = operation
        self.args, self.kwargs, self.inputs = first.args, first.kwargs, first.inputs
        self.node, self.outputs = last, last.outputs
        self.is_simple = _is_simple(first)


def steps(nodes: Sequence[CallNode], outputs: Sequence[SymbolicTensor], fuse: bool) -> list[Step]:
    """The calls that give ``outputs``; with ``fuse`` as few as there can be."""
    if not fuse:
        return [Step(node.operation, node, node) for node in nodes]
    readers: dict[int, list[CallNode]] = {}
    for node in nodes:
        for tensor in node.inputs:
            readers.setdefault(id(tensor), []).append(node)
    wanted = {id(tensor) for tensor in outputs}

    def follower(node: CallNode) -> CallNode | None:
        """The only call that reads what ``node`` gives, if nobody else sees it."""
        after = readers.get(id(node.outputs[0]), []) if len(node.outputs) == 1 else []
        return after[0] if len(after) == 1 and id(node.outputs[0]) not in wanted else None

    found: list[Step] = []
    made: dict[tuple[int, ...], Fused] = {}  # layers that are called together in several places share their weights
    done: set[int] = set()
    new: set[int] = set()  # tensors that a step makes new memory for, and one other reads
    for node in nodes:
        if id(node) in done:
            continue
        run = _run(node, follower)
        done.update(map(id, run))
        layers = [each.operation for each in run]
        operation: Any = node.operation
        if len(run) > 1 and type(operation) is Add:
            over = next((i for i, tensor in enumerate(node.inputs) if id(tensor) in new), None)
            operation = FusedSum(layers[0], layers[1], over)
        elif len(run) > 1:
            operation = made.setdefault(tuple(map(id, layers)), Fused(layers, len(run[-1].outputs[0].shape)))
        found.append(Step(operation, node, run[-1]))
        if (isinstance(operation, Fused) or type(operation) in _PRODUCTS) and follower(run[-1]) is not None:
            new.add(id(run[-1].outputs[0]))
    return found


def _is_simple(node: CallNode) -> bool:
    """Whether a layer is called with one tensor and nothing else."""
    return not node.kwargs and len(node.args) == 1 and isinstance(node.args[0], SymbolicTensor)


def _run(node: CallNode, follower: Callable[[CallNode], CallNode | None]) -> list[CallNode]:
    """``node`` and the calls behind it that can be one with it."""

    def next_of(run: list[CallNode]) -> Any:
        """The layer that is called next with nothing but what ``run`` gives; None if there is none."""
        after = follower(run[-1])
        return after.operation if after is not None and _is_simple(after) else None

    run = [node]
    if type(node.operation) is Add:
        is_pair = not node.kwargs and len(node.args) == 1 and len(node.inputs) == 2
        return _with(run, follower, is_pair and _activation_of(next_of(run)) is not None)
    if not _is_simple(node):
        return run
    product = node.operation
    if type(product) in _PADDINGS:
        product = next_of(run)
        if not _pads(node.operation, product):
            return run
        run = _with(run, follower, True)
    if type(product) not in _PRODUCTS:
        return run
    rank = len(run[-1].outputs[0].shape)
    for kinds in ([BatchNormalization], _ACTIVATIONS):
        after = next_of(run)
        run = _with(run, follower, type(after) in kinds and _can_follow(product, after, rank))
    return run


def _with(run: list[CallNode], follower: Callable[[CallNode], CallNode | None], fits: bool) -> list[CallNode]:
    """``run``, with the call behind it if that fits."""
    after = follower(run[-1]) if fits else None
    return run if after is None else [*run, after]

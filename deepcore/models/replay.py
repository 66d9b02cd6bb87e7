"""A step's loss and gradients by the calls of an earlier step, without the layers, the tape and the way back.

A step of a drawn model makes the same calls of primitives each time, as long as the shapes stay what they were and
nobody changes the model. So the second ordinary step of its kind is traced (``autograd/trace.py``), and those after it
repeat its calls: what is computed, in which order, and what is drawn and written on the way, are the same to the bit.

That the calls depend on nothing else is known of the layers and losses of deepcore that are named here. Where there is
anything else, steps run as they always did: layers, losses, activations and ``compute_loss`` of somebody else's, masks,
penalties, several inputs or outputs, scaled losses, other devices than the CPU, and ``compile(run_eagerly=True)``.
"""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

from deepcore import layers, losses
from deepcore.autograd.trace import Program, Trace
from deepcore.layers.composite import PLAIN, changes
from deepcore.layers.layer import Layer
from deepcore.models.compile_loss import Term
from deepcore.optimizers import Optimizer
from deepcore.tensor import Tensor
from deepcore.variable import Variable

if TYPE_CHECKING:
    from deepcore.models.trainer import Trainer

# Kinds of layers whose calls depend on shapes, on their attributes, and on whether they are trained. The classes of
# drawn models add themselves.
KINDS: set[type] = {
    layers.Activation,
    layers.Add,
    layers.Average,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Conv1D,
    layers.Conv1DTranspose,
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.Cropping1D,
    layers.Cropping2D,
    layers.Dense,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.Dropout,
    layers.ELU,
    layers.Flatten,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.InputLayer,
    layers.LayerNormalization,
    layers.LeakyReLU,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.Permute,
    layers.ReLU,
    layers.RepeatVector,
    layers.Rescaling,
    layers.Reshape,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
    layers.Softmax,
    layers.Subtract,
    layers.UpSampling1D,
    layers.UpSampling2D,
    layers.ZeroPadding1D,
    layers.ZeroPadding2D,
}
_OWN = ("call", "compute_loss")  # methods that somebody may set on one model
_MOST = 8  # kinds of batches that are known at once


class Step(NamedTuple):
    """What a step finds before it changes the weights.

    Attributes:
        y_pred: the outputs, cut from the tape.
        loss: a scalar, cut from the tape.
        weights: those that are trained.
        gradients: for each weight, None where the loss does not depend on it.
    """

    y_pred: Any
    loss: Tensor
    weights: Sequence[Variable]
    gradients: Sequence[Tensor | None]


class Replay:
    """The steps of one model that are known. A copy of a model gets to know its own."""

    def __init__(self) -> None:
        # By the shapes and dtypes of a batch: the model as it was then, and what to repeat if that is known.
        self._known: OrderedDict[Any, tuple[_Model, Program | None]] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        return Replay, ()

    def step(self, model: Trainer, batch: tuple[Any, Any, Any], ordinary: Callable[[], Step]) -> Step:
        """The step on ``batch``, (x, y, sample_weight): as ``ordinary`` gives it, by repeating an earlier one if it
        can be."""
        if type(model) not in KINDS or model.run_eagerly or _scales_loss(model.optimizer) or not _are_plain(batch):
            return ordinary()
        given = [tensor for tensor in batch if tensor is not None]
        kind = tuple([None if tensor is None else (tensor.shape, tensor.dtype) for tensor in batch])
        weights = model.trainable_weights  # type: ignore[attr-defined]
        before, program = self._known.get(kind, (None, None))
        if before is None or not before.is_still(model, weights):
            found = ordinary()
            self._remember(kind, _Model(model, weights), None)
            return found
        if program is not None:
            return _repeated(program, given, weights)
        if not before.can_be_traced or before.traced:
            return ordinary()
        with Trace(given, model.weights) as trace:  # type: ignore[attr-defined]
            found = ordinary()
        before.traced = True
        if isinstance(found.y_pred, Tensor) and found.y_pred.mask is None:
            self._remember(kind, before, trace.program((found.y_pred, found.loss, *found.gradients)))
        return found

    def _remember(self, kind: Any, model: _Model, program: Program | None) -> None:
        self._known[kind] = model, program
        self._known.move_to_end(kind)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)


def _are_plain(batch: Sequence[Any]) -> bool:
    """Whether a batch is of tensors on the CPU, without masks, through which no gradient flows."""
    x, y, sample_weight = batch
    for tensor in (x, y) if sample_weight is None else batch:
        if type(tensor) is not Tensor or tensor.device.kind != "cpu" or tensor.mask is not None or tensor.requires_grad:
            return False
    return True


def _scales_loss(optimizer: Optimizer) -> bool:
    return optimizer.loss_scale_factor is not None or type(optimizer).scale_loss is not Optimizer.scale_loss


def _repeated(program: Program, given: Sequence[Tensor], weights: Sequence[Variable]) -> Step:
    device = given[0].device
    arrays = program.run(device.backend, [tensor._array for tensor in given])
    y_pred, loss, *gradients = [None if array is None else Tensor.wrap(array, device) for array in arrays]
    assert loss is not None
    return Step(y_pred, loss, weights, gradients)


class _Model:
    """All of a model that the calls of its steps depend on.

    Attributes:
        can_be_traced: whether the calls depend on nothing else.
        traced: whether it was tried.
    """

    def __init__(self, model: Any, weights: Sequence[Variable]) -> None:
        self._changes = changes()
        self._weights = _settings(weights)
        self._parts = _parts(model)
        self._loss = _loss_parts(model)
        plain = bool(weights) and all(v.regularizer is None and v.requires_grad for v in weights)
        self.can_be_traced = plain and _is_ours(model)
        self.traced = False

    def is_still(self, model: Any, weights: Sequence[Variable]) -> bool:
        """Whether all of it is as it was; cheap where no layer was changed at all."""
        if not _are_same(_settings(weights), self._weights) or not _are_same(_loss_parts(model), self._loss):
            return False
        if self._changes != changes():
            if not _are_same(_parts(model), self._parts):
                return False
            self._changes = changes()
        return True


def _are_same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    return len(some) == len(others) and all(map(operator.is_, some, others))


def _settings(weights: Sequence[Variable]) -> list[Any]:
    """The weights, and what may be set on each while no layer is told."""
    return [part for v in weights for part in (v, v.regularizer, v._leaf_requires_grad)]


def _parts(model: Any) -> list[Any]:
    """Objects that are others once the model, or a layer within it, has been changed. What ``fit`` sets on the model
    itself is not among them."""
    attributes = (vars(model).get(name) for name in _OWN)
    inner = (layer._looked_up() for layer in model._family().layers)
    return [model.graph, model.dtype_policy, model.autocast, model.activity_regularizer, *attributes, *inner]


def _term_of(model: Any) -> Term | None:
    """The only term of the loss, if there is one and no other."""
    terms = None if model._compile_loss is None else model._compile_loss.terms
    return terms[0] if terms and len(terms) == 1 else None


def _loss_parts(model: Any) -> list[Any]:
    """Objects that are others once the loss has been changed."""
    term = _term_of(model)
    if term is None:
        return []
    settings = getattr(term.loss, "kwargs", {})
    return [term, *vars(term.loss).values(), *settings, *settings.values()]


def _is_ours(model: Any) -> bool:
    """Whether the model, its layers and its loss are such that their calls are known to be the same each time."""
    term = _term_of(model)
    return (
        model.graph is not None
        and _is_known(model)
        and "compute_loss" not in vars(model)
        and all(isinstance(operation, Layer) for operation in model.graph.operations)
        and all(map(_is_known, model._family().layers))
        and term is not None
        and _is_known_loss(term.loss)
    )


def _is_known(layer: Any) -> bool:
    activation = getattr(layer, "activation", None)
    return (
        type(layer) in KINDS
        and layer.built
        and layer.activity_regularizer is None
        and "call" not in vars(layer)
        and (activation is None or _is_function_of_ours(activation))
    )


def _is_known_loss(loss: Any) -> bool:
    if not type(loss).__module__.startswith(losses.__name__) or "call" in vars(loss):
        return False
    function = getattr(loss, "fn", None)
    plain = all(isinstance(value, PLAIN) for value in getattr(loss, "kwargs", {}).values())
    return plain and (function is None or _is_function_of_ours(function))


def _is_function_of_ours(function: Any) -> bool:
    return isinstance(function, FunctionType) and function.__module__.startswith("deepcore.")

"""What lies within a layer: the weights and the layers that its attributes hold, theirs, and so on."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deepcore import constraints, initializers, regularizers
from deepcore.absent import Explaining
from deepcore.dtype_policies import DTypePolicy
from deepcore.generator import Generator
from deepcore.layers.input_spec import InputSpec
from deepcore.structure import leaves
from deepcore.variable import Variable

if TYPE_CHECKING:
    from deepcore.layers.layer import Layer

# Attributes that hold no sublayers, or hold them a second time.
_NOT_MEMBERS = {
    "_added_losses",
    "_attributes",
    "_build_shapes",
    "_compile_arguments",
    "_drawn",
    "_given",
    "_inbound_nodes",
    "_own_weights",
    "_replay",
    "_stack",
    "_states",
}
PLAIN = (bool, int, float, str, type(None))
_INERT = (
    *PLAIN,
    DTypePolicy,
    Generator,
    InputSpec,
    constraints.Constraint,
    initializers.Initializer,
    np.dtype,
    regularizers.Regularizer,
    type,
)


class Composite(Explaining):
    """The half of ``Layer`` that knows what it is made of: its weights, its sublayers, and all that lies within these.

    Whatever an attribute holds is a part. Every step asks for all parts, and looking at the attributes of every layer
    would take longer than many a step: so what was found is kept until an attribute of any layer is set.
    """

    name: str
    built: bool
    _own_weights: list[Variable]
    _trainable: bool

    @property
    def weights(self) -> list[Variable]:
        """All weights: the layer's own, the trainable ones first, then those of its sublayers."""
        return list(self._family().weights)

    variables = weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that an optimizer may change."""
        return [v for v in self.weights if v._trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The other weights: moving statistics, and all of a frozen layer's."""
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether an optimizer may change the layer's weights. Setting it sets it for all sublayers."""
        return self._trainable

    @trainable.setter
    def trainable(self, on: bool) -> None:
        self._trainable = bool(on)
        weights, layers = self._members()
        for weight in weights:
            weight.trainable = self._trainable and weight.born_trainable
        for layer in layers:
            layer.trainable = self._trainable

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Copies of all weights as NumPy arrays, in the order of ``weights``."""
        return [np.array(v.numpy()) for v in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Writes all weights, in the order of ``weights``. Raises ``ValueError``, writing nothing, if one misfits."""
        own = self.weights
        if len(weights) != len(own):
            raise ValueError(
                f"Layer {self.name!r} has {len(own)} weights; set_weights was given {len(weights)}."
                + ("" if self.built or own else " It has none yet because it is not built: call it, or build() it.")
            )
        for variable, value in zip(own, weights, strict=True):
            if tuple(np.shape(value)) != variable.shape:
                raise ValueError(
                    f"Layer {self.name!r}: the weight {variable.path!r} has shape {variable.shape}; set_weights was "
                    f"given shape {tuple(np.shape(value))}."
                )
        for variable, value in zip(own, weights, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """How many numbers the weights hold. Raises ``ValueError`` while the layer is not built."""
        if not self.built and not self.weights:
            raise ValueError(f"Layer {self.name!r} has no weights to count yet: call it with data, or build() it.")
        return sum(v.size for v in self.weights)

    def sublayers(self) -> list[Layer]:
        """The layers that this one holds, in lists and dictionaries, too."""
        return self._members()[1]

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        vars(self).pop("_attributes", None)
        note_change()

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        vars(self).pop("_attributes", None)
        note_change()

    def _looked_up(self) -> _Attributes:
        found = self.__dict__.get("_attributes")
        if found is None:
            holdings = [(name, value) for name, value in vars(self).items() if not _holds_nothing(name, value)]
            found = vars(self)["_attributes"] = _Attributes(holdings)
        return found

    def _family(self) -> _Family:
        """The layers within this one, and all their weights; found once for every change of a layer."""
        known = self._looked_up()
        if known.family is None or not known.family.is_current():
            known.family = _Family(self)
        return known.family

    def holdings(self) -> list[tuple[str, Any]]:
        """The attributes that may hold a part of the layer, such as a weight, a sublayer or a metric: all but numbers,
        text and the like, found once for every change of an attribute."""
        return self._looked_up().holdings

    def _members(self) -> tuple[list[Variable], list[Layer]]:
        """The layer's own weights, the trainable ones first, and its sublayers: whatever its attributes hold now."""
        known = self._looked_up()
        if known.members is not None and known.members[0] == len(self._own_weights):
            return list(known.members[1]), list(known.members[2])
        variables = {id(v): v for v in self._own_weights}
        layers: dict[int, Any] = {}
        for _, value in known.holdings:
            for part in leaves(value):
                if isinstance(part, Variable):
                    variables[id(part)] = part
                elif isinstance(part, Composite):
                    layers[id(part)] = part
        # A list or a dictionary may hold something else the next time.
        constant = not any(isinstance(value, list | tuple | dict) for _, value in known.holdings)
        members = sorted(variables.values(), key=_comes_late), list(layers.values())
        known.members = (len(self._own_weights), *members) if constant else None
        return list(members[0]), members[1]


class _Attributes:
    """What was found out about a layer's attributes, good until one of them is set.

    Attributes:
        holdings: names and values of those that may hold a part of the layer.
        members: the number of weights that the layer has made itself, its own weights, and its sublayers; None where
            that may change while no attribute is set.
        family: the layer's, as it was found last.
    """

    __slots__ = ("family", "holdings", "members")

    def __init__(self, holdings: list[tuple[str, Any]]) -> None:
        self.holdings = holdings
        self.members: tuple[int, list[Variable], list[Layer]] | None = None
        self.family: _Family | None = None


_changes = 0  # of attributes of all layers, and of weights


def note_change() -> None:
    """To be called whenever a layer may hold something else than before."""
    global _changes
    _changes += 1


def changes() -> int:
    """A number that is another one after ``note_change``, and so after any attribute of any layer was set."""
    return _changes


class _Family:
    """What lies within a layer, for all who walk over it in every step.

    It is what it was as long as no attribute of any layer is set and nobody changes a list or a dictionary of one.

    Attributes:
        layers: within the layer, each once, a layer before those within it.
        weights: see ``Layer.weights``.
        known: what else was found out by walking over it, by name.
    """

    __slots__ = ("_changes", "_containers", "_held", "_is_lasting", "known", "layers", "weights")

    def __init__(self, of: Composite) -> None:
        self._changes = _changes
        self.known: dict[str, Any] = {}
        own, sublayers = of._members()
        layers: dict[int, Layer] = {}
        weights = {id(v): v for v in own}
        self._containers = [value for _, value in of.holdings() if isinstance(value, list | tuple | dict)]
        self._is_lasting = True
        for layer in sublayers:
            inner = layer._family()
            layers[id(layer)] = layer
            for each in inner.layers:
                layers.setdefault(id(each), each)
            for v in layer.weights:
                weights.setdefault(id(v), v)
            self._containers += inner._containers
            # A class that says what its weights are may say something else at any time.
            self._is_lasting = self._is_lasting and inner._is_lasting and type(layer).weights is Composite.weights
        self.layers: list[Layer] = list(layers.values())
        self.weights: list[Variable] = list(weights.values())
        self._held = self._in_containers()

    def is_current(self) -> bool:
        """Whether it is still what lies within the layer."""
        return self._changes == _changes and self._is_lasting and self._held == self._in_containers()

    def _in_containers(self) -> list[int]:
        return [id(leaf) for container in self._containers for leaf in leaves(container)]


def _holds_nothing(name: str, value: Any) -> bool:
    """Whether an attribute holds no part of a layer, now and for as long as it is this object."""
    if isinstance(value, tuple) and name not in _NOT_MEMBERS:
        return all(isinstance(part, PLAIN) for part in value)
    return name in _NOT_MEMBERS or isinstance(value, _INERT) or inspect.isroutine(value)


def _comes_late(variable: Variable) -> bool:
    return not variable.born_trainable

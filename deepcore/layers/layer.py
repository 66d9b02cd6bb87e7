"""Layer: weights, and a function of tensors that uses them."""

from __future__ import annotations

import contextlib
import functools
import inspect
import warnings
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from deepcore import initializers, regularizers
from deepcore.autograd import no_grad
from deepcore.device import CPU, Device, current_device, use_device
from deepcore.errors import nearest
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.symbolic import Shape, SymbolicTensor, is_shape, leaves, map_leaves
from deepcore.naming import current_scope, name_scope, snake_case, unique_name
from deepcore.ops import cast
from deepcore.tensor import FLOATX, Tensor
from deepcore.variable import Variable

# The training flag of the outermost call in progress; None while no layer is being called.
_training: ContextVar[bool | None] = ContextVar("deepcore_training", default=None)
_depth: ContextVar[int] = ContextVar("deepcore_call_depth", default=0)


class Layer:
    """The base of all layers and models.

    A layer of your own sets its arguments in ``__init__``, makes its weights in ``build(input_shape)`` with
    ``add_weight``, and computes in ``call(x)``, which may take ``training``. Layers, and lists of layers, that are
    attributes of a layer are its sublayers, and their weights are among its weights.

    Args:
        activity_regularizer: a penalty on the output, added to the loss.
        trainable: whether an optimizer may change its weights.
        dtype: of weights and computation; float32 by default.
        autocast: whether floating inputs are cast to ``dtype``.
        name: ``dense``, ``dense_1``, ... by default.
        input_shape: shape of the input without the batch axis, for the first layer of a ``Sequential``;
            ``Input(shape)`` as its first element says the same.

    >>> class Scale(Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
    ...
    ...     def call(self, x):
    ...         return x * self.factor
    >>> Scale()([[1.0, 2.0]]).tolist()
    [[1.0, 2.0]]
    """

    input_spec: InputSpec | None = None
    built = False

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        given = kwargs.pop("input_shape", None)
        if "input_dim" in kwargs:
            given = (kwargs.pop("input_dim"),)
        if kwargs:
            raise TypeError(
                f"{type(self).__name__} does not know the argument{'s' if len(kwargs) > 1 else ''} "
                f"{', '.join(map(repr, kwargs))}.{nearest(next(iter(kwargs)), _arguments_of(type(self)))} "
                f"See help({type(self).__name__}) for those it has."
            )
        if given is not None:
            given = tuple(given) if isinstance(given, list | tuple) else (given,)
            warnings.warn(
                f"{type(self).__name__}(input_shape={given}): put Input({given}) in front of the layer instead; "
                "Keras 3 discourages input_shape.",
                stacklevel=3,
            )
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ValueError(f"A layer's name is a string without '/', not empty; got name={name!r}.")
        self.name = unique_name(snake_case(type(self).__name__)) if name is None else name
        self.dtype = np.dtype(FLOATX if dtype is None else dtype)
        if self.dtype not in (np.dtype("float32"), np.dtype("float64")):
            raise ValueError(f"{self.name}: a layer computes in float32 or float64; got dtype={self.dtype}.")
        self.autocast = autocast
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.path = "/".join((*current_scope(), self.name))
        self.given_input_shape: tuple[Any, ...] | None = given
        self._trainable = bool(trainable)
        self._own_weights: list[Variable] = []
        self._added_losses: list[Tensor] = []
        self._building = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _scoped(cls.__dict__["build"])  # type: ignore[method-assign]

    # To be written by a layer

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of ``input_shape`` (batch axis included, None where any size will do)."""
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The layer's output."""
        raise NotImplementedError(f"{type(self).__name__} must implement call(x).")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for inputs of ``input_shape``; None where any size will do.

        Layers that do not say are called once with zeros, with 1 where any size will do.
        """
        zeros = [self._zeros(shape) for shape in _shapes(input_shape)]
        with no_grad():
            output = self(zeros[0] if is_shape(input_shape) else zeros, training=False)
        free = (_shapes(input_shape)[0] or (1,))[0] is None
        return map_leaves(lambda y: (None, *y.shape[1:]) if free else y.shape, output)

    def _zeros(self, shape: Sequence[int | None]) -> Tensor:
        return Tensor(np.zeros([size or 1 for size in shape], self.dtype), device=self.device)

    # Weights

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Makes a weight of this layer.

        Args:
            shape: its sizes.
            initializer: of the starting values; Glorot uniform by default, zeros for integers.
            dtype: the layer's by default.
            trainable: whether an optimizer may change it.
            regularizer: a penalty on it, added to the loss.
            constraint: what an optimizer applies to it after every step.
            name: ``variable``, ... by default.
        """
        kind = self.dtype if dtype is None else np.dtype(dtype)
        if initializer is None:
            initializer = "glorot_uniform" if kind.kind == "f" else "zeros"
        weight = Variable(initializers.get(initializer), tuple(shape), kind, trainable=trainable, name=name)
        weight.trainable = trainable and self._trainable
        weight.regularizer = regularizers.get(regularizer)
        weight.constraint = constraint
        self._own_weights.append(weight)
        return weight

    @property
    def weights(self) -> list[Variable]:
        """All weights: the layer's own, the trainable ones first, then those of its sublayers."""
        own, sublayers = self._members()
        found = {id(v): v for v in own}
        for layer in sublayers:
            found.update((id(v), v) for v in layer.weights if id(v) not in found)
        return list(found.values())

    variables = weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that an optimizer may change."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

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

    def _members(self) -> tuple[list[Variable], list[Layer]]:
        """The layer's own weights, the trainable ones first, and its sublayers: whatever its attributes hold now."""
        variables = {id(v): v for v in self._own_weights}
        layers: dict[int, Layer] = {}
        for value in vars(self).values():
            if isinstance(value, Variable):
                variables[id(value)] = value
            elif isinstance(value, Layer):
                layers[id(value)] = value
            elif isinstance(value, list | tuple | dict) and value and value is not self._own_weights:
                for leaf in leaves(value):
                    if isinstance(leaf, Variable):
                        variables[id(leaf)] = leaf
                    elif isinstance(leaf, Layer):
                        layers[id(leaf)] = leaf
        return sorted(variables.values(), key=lambda v: not v.born_trainable), list(layers.values())

    # Calling

    @property
    def device(self) -> Device:
        """Where the weights are; the current device if there are none."""
        for weight in self.weights:
            return weight.device
        return current_device()

    @property
    def compute_dtype(self) -> np.dtype[Any]:
        """Of the computation."""
        return self.dtype

    @property
    def variable_dtype(self) -> np.dtype[Any]:
        """Of the weights."""
        return self.dtype

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Builds the layer if need be, and gives its output for tensors or arrays.

        ``training`` counts for this call and for all layers called within it, unless they are given their own.
        Errors of shape, value and type name the layer.
        """
        if "_own_weights" not in vars(self):
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() before anything else.")
        training = kwargs.pop("training", None)
        outer = _training.get()
        if training is None:
            training = outer
        accepts, default = _training_parameter(type(self))  # type: ignore[arg-type]
        if training is None:
            training = default
        tokens = _training.set(training), _depth.set(_depth.get() + 1)
        try:
            if _depth.get() == 1:
                self._forget_losses()
            if args:
                args = (map_leaves(self._as_input, _structure(args[0])), *args[1:])
            if accepts and training is not None:
                kwargs["training"] = bool(training)
            return self._run(args, kwargs)
        except (TypeError, ValueError) as error:
            self._sign(error)
            raise
        finally:
            _training.reset(tokens[0])
            _depth.reset(tokens[1])

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        inputs = args[0] if args else None
        shapes = map_leaves(lambda x: tuple(x.shape) if hasattr(x, "shape") else None, inputs)
        if not self.built:
            self._check_inputs(shapes)
            self.build(shapes)
        self._check_inputs(shapes)
        if any(isinstance(x, SymbolicTensor) for x in leaves(inputs)):
            shape = self.compute_output_shape(shapes)
            outputs = [SymbolicTensor(s, self.compute_dtype) for s in _shapes(shape)]
            for output in outputs:
                output.history = (self, args, kwargs)
            return outputs[0] if is_shape(shape) else outputs
        scope = current_scope()
        with name_scope(scope if self._building else (*scope, self.name)):  # for layers that are built in the call
            output = self.call(*args, **kwargs)
        if self.activity_regularizer is not None:
            self.add_loss(self.activity_regularizer(output))
        return output

    def _as_input(self, x: Any) -> Any:
        if isinstance(x, SymbolicTensor) or x is None:
            return x
        tensor = x if isinstance(x, Tensor) else Tensor(x, device=self._home())
        if self.autocast and tensor.dtype.kind == "f" and tensor.dtype != self.dtype:
            return cast(tensor, self.dtype)
        return tensor

    def _home(self) -> Device | None:
        """Where arrays go that are on no device yet: to the weights."""
        device = self.device
        return None if device == CPU and current_device() == CPU else device

    def _check_inputs(self, shapes: Any) -> None:
        if self.input_spec is not None and is_shape(shapes):
            self.input_spec.check(shapes)

    def _sign(self, error: Exception) -> None:
        """Puts the layer's name in front of an error's message, unless a layer within has done so."""
        message = error.args[0] if len(error.args) == 1 else None
        if isinstance(message, str) and not hasattr(error, "layer"):
            error.args = (f"Layer {self.name!r} ({type(self).__name__}): {message}",)
            with contextlib.suppress(AttributeError):
                error.layer = self.name  # type: ignore[attr-defined]

    # Losses that do not come from the targets

    def add_loss(self, loss: Any) -> None:
        """Adds a scalar, computed in ``call``, to what training minimises."""
        self._added_losses.extend(leaves(loss))

    @property
    def losses(self) -> list[Tensor]:
        """Scalars of ``add_loss`` since the outermost call began, and the penalties on trainable weights."""
        penalties = [v.regularizer(v) for v in self.trainable_weights if v.regularizer is not None]
        return [*self._all_added_losses(), *penalties]

    def _all_added_losses(self) -> list[Tensor]:
        return [*self._added_losses, *(loss for layer in self.sublayers() for loss in layer._all_added_losses())]

    def _forget_losses(self) -> None:
        self._added_losses.clear()
        for layer in self.sublayers():
            layer._forget_losses()

    # Configuration

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this layer anew, without its weights."""
        own = [p for p in inspect.signature(type(self).__init__).parameters.values() if p.kind is not p.VAR_KEYWORD]
        names = {"self", "name", "trainable", "dtype", "activity_regularizer", "autocast"}
        if type(self).get_config is Layer.get_config and any(p.name not in names for p in own):
            raise NotImplementedError(
                f"{type(self).__name__}.__init__ takes arguments of its own, so the class must implement "
                "get_config(): return {**super().get_config(), 'argument': self.argument, ...}."
            )
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype.name}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer of ``get_config``'s dictionary."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _arguments_of(kind: type) -> set[str]:
    """Names that the constructors of a class and of its bases take."""
    constructors = [
        base.__dict__["__init__"] for base in kind.__mro__ if "__init__" in base.__dict__ and base is not object
    ]
    names = {name for function in constructors for name in inspect.signature(function).parameters}
    return names - {"self", "args", "kwargs"}


def _scoped(build: Any) -> Any:
    """``build`` under the layer's name, which marks the layer built and keeps it unbuilt where it fails."""

    @functools.wraps(build)
    def scoped(self: Layer, *args: Any, **kwargs: Any) -> None:
        outermost = not self._building
        self._building += 1
        before = len(self._own_weights)
        try:
            scope = (*current_scope(), self.name) if outermost else current_scope()
            with name_scope(scope), use_device(self.device):
                if outermost:
                    self.path = "/".join(scope)
                build(self, *args, **kwargs)
            self.built = True
        except (TypeError, ValueError) as error:
            del self._own_weights[before:]
            self._sign(error)
            raise
        finally:
            self._building -= 1

    return scoped


Layer.build = _scoped(Layer.build)  # type: ignore[method-assign]  # __init_subclass__ does not see the base itself


@functools.cache
def _training_parameter(layer_class: type[Layer]) -> tuple[bool, bool | None]:
    """Whether ``call`` takes ``training``, and its default."""
    parameter = inspect.signature(layer_class.call).parameters.get("training")
    if parameter is None:
        return False, None
    return True, None if parameter.default in (None, parameter.empty) else bool(parameter.default)


def _structure(value: Any) -> Any:
    """A list of numbers is one input; a list of tensors or arrays is several."""
    if isinstance(value, list | tuple | dict) and not any(hasattr(leaf, "shape") for leaf in leaves(value)):
        return Tensor(value) if not isinstance(value, dict) else value
    return value


def _shapes(shape: Any) -> list[Shape]:
    if is_shape(shape):
        return [tuple(shape)]
    return [s for part in (shape.values() if isinstance(shape, dict) else shape) for s in _shapes(part)]


def positive_int(name: str, value: Any) -> int:
    """``value`` as an int. Raises ``ValueError`` unless it is a whole number above zero."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) <= 0:
        raise ValueError(f"{name} must be a positive integer; got {name}={value!r}.")
    return int(value)

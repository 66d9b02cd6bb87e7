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

from deepcore import activations, constraints, initializers, regularizers, serialization
from deepcore.device import CPU, Device, current_device, use_device
from deepcore.dtype_policies import DTypePolicy
from deepcore.errors import RefusedCodeError, nearest
from deepcore.layers.call_spec import CallSpec, call_spec, shape_of
from deepcore.layers.composite import PLAIN, Composite, note_change
from deepcore.layers.input_spec import InputSpec
from deepcore.naming import current_scope, enter_scope, given_name, leave_scope, scope_at
from deepcore.ops import cast
from deepcore.structure import is_shape, leaves, map_leaves, map_shapes
from deepcore.symbolic import CallNode, SymbolicTensor, for_good, infer, is_symbolic
from deepcore.tensor import Tensor
from deepcore.variable import Variable, load_variables, save_variables

# The training flag of the outermost call in progress; None while no layer is being called.
_training: ContextVar[bool | None] = ContextVar("deepcore_training", default=None)
_calling: ContextVar[bool] = ContextVar("deepcore_calling", default=False)

_EVERY_LAYERS_ARGUMENTS = {"self", "name", "trainable", "dtype", "activity_regularizer", "autocast"}


class Layer(Composite):
    """The base of all layers and models.

    A layer of your own sets its arguments in ``__init__``, makes its weights in ``build(input_shape)`` with
    ``add_weight``, and computes in ``call(x)``, which may take ``training`` and ``mask``. Layers, and lists of layers,
    that are attributes of a layer are its sublayers, and their weights are among its weights.

    Args:
        activity_regularizer: a penalty on the output, divided by the batch size and added to the loss.
        trainable: whether an optimizer may change its weights.
        dtype: of weights and computation, float32 or float64, or a ``DTypePolicy``; float32 by default.
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

    input_spec: Any = None  # an InputSpec; several, nested like the inputs, for a layer of several
    built = False
    _stateless = False  # of each class: whether it is built from the start, unless a subclass has a build of its own
    _given: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    _build_shapes: tuple[Any, ...] | None = None
    _supports_masking: bool | None = None
    _makes_masks = False  # of each class: whether it says which mask its output has
    _config: tuple[str, ...] = ()  # of each class: attributes that get_config holds besides those of its bases

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = object.__new__(cls)
        self._given = args, kwargs  # what a layer without a get_config of its own is made anew with
        return self

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
            known = constructor_arguments(type(self))  # type: ignore[arg-type]
            raise ValueError(
                f"{type(self).__name__} does not know the argument{'s' if len(kwargs) > 1 else ''} "
                f"{', '.join(map(repr, kwargs))}.{nearest(next(iter(kwargs)), known)} "
                f"See help({type(self).__name__}) for those it has."
            )
        if given is not None:
            given = tuple(given) if isinstance(given, list | tuple) else (given,)
            warnings.warn(
                f"{type(self).__name__}(input_shape={given}): put Input({given}) in front of the layer instead; "
                "Keras 3 discourages input_shape.",
                stacklevel=3,
            )
        if not isinstance(trainable, bool):
            raise ValueError(f"trainable must be True or False; got trainable={trainable!r}.")
        self.name = given_name(self, name)
        if "/" in self.name:
            raise ValueError(f"A layer's name is a string without '/', which parts paths; got name={name!r}.")
        self.dtype_policy = DTypePolicy.of(dtype)
        self.autocast = autocast
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.path = "/".join((*current_scope(), self.name))
        self.given_input_shape: tuple[Any, ...] | None = given
        self._trainable = trainable
        self.built = self._stateless and type(self).build is Layer.build
        self._complete = False
        self._own_weights: list[Variable] = []
        self._added_losses: list[Tensor] = []
        self._inbound_nodes: list[CallNode] = []
        self._building = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._makes_masks = cls.compute_mask is not Layer.compute_mask
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

        Layers that do not say are called with ones of two sizes where any size will do.
        """
        return map_leaves(lambda y: y.shape, self._inferred((self._symbols(input_shape, "shape"),), {}))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic tensors of the shapes and dtypes that a call with these arguments gives; no call is noted."""
        rule = type(self).compute_output_shape
        if rule is Layer.compute_output_shape:
            return self._inferred(args, kwargs)
        spec = call_spec(type(self))  # type: ignore[arg-type]
        return self._symbols(self.compute_output_shape(*spec.shapes_for(rule, args, kwargs)))

    def _symbols(self, shapes: Any, name: str | None = None) -> Any:
        return map_shapes(
            lambda shape: None if shape is None else SymbolicTensor(shape, self.compute_dtype, name), shapes
        )

    def checked_output_shape(self, input_shape: Any) -> Any:
        """``compute_output_shape`` of a shape that the layer accepts; other shapes raise as in a call."""
        try:
            self._check_inputs(self._symbols(input_shape, "shape"))
            return self.compute_output_shape(input_shape)
        except (TypeError, ValueError) as error:
            self._sign(error)
            raise

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the output; that of the first input unless the layer says otherwise.

        It is asked for where ``supports_masking``, which is so for every layer that overrides this.
        """
        return previous_mask

    @property
    def supports_masking(self) -> bool:
        """Whether the mask of an input is handed on with the output."""
        if self._supports_masking is None:
            return self._makes_masks
        return self._supports_masking

    @supports_masking.setter
    def supports_masking(self, on: bool) -> None:
        self._supports_masking = bool(on)

    # Weights

    def add_weight(
        self,
        shape: Sequence[int] | None = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Makes a weight of this layer.

        Args:
            shape: its sizes; none by default.
            initializer: of the starting values; Glorot uniform by default, zeros for integers.
            dtype: the layer's by default.
            trainable: whether an optimizer may change it.
            regularizer: a penalty on it, added to the loss.
            constraint: what an optimizer applies to it after every step.
            name: ``variable``, ... by default.
        """
        if self._complete:
            raise ValueError(
                f"Layer {self.name!r} is built, and gets no further weights: make {name or 'them'} in __init__, or in "
                "build()."
            )
        shape = () if shape is None else shape
        if not is_shape(shape) or any(size is None or size < 0 for size in shape):
            hint = " A name is given as name=..., after the shape." if isinstance(shape, str) else ""
            raise ValueError(f"a weight's shape is a tuple of known sizes; got shape={shape!r}, name={name!r}.{hint}")
        kind = self.dtype if dtype is None else np.dtype(dtype)
        if initializer is None:
            initializer = "glorot_uniform" if kind.kind == "f" else "zeros"
        scope = current_scope()
        with scope_at(scope if self._building else (*scope, self.name)):
            weight = Variable(initializers.get(initializer), tuple(shape), kind, trainable=trainable, name=name)
        weight.trainable = trainable and self._trainable
        weight.regularizer = regularizers.get(regularizer)
        weight.constraint = constraints.get(constraint)
        self._own_weights.append(weight)
        note_change()
        return weight

    # Calling

    @property
    def device(self) -> Device:
        """Where the weights are; the current device if there are none."""
        weights = self._family().weights
        return weights[0].device if weights else current_device()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the weights."""
        return self.dtype_policy.variable_dtype

    @property
    def compute_dtype(self) -> np.dtype[Any]:
        """Of the computation."""
        return self.dtype_policy.compute_dtype

    @property
    def variable_dtype(self) -> np.dtype[Any]:
        """Of the weights."""
        return self.dtype

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Builds the layer if need be, and gives its output for tensors or arrays.

        ``training`` counts for this call and for all layers called within it, unless they are given their own.
        Errors of shape, value and type name the layer.
        """
        if "_own_weights" not in self.__dict__:
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() before anything else.")
        spec = call_spec(type(self))  # type: ignore[arg-type]
        asked = kwargs.pop("training", None)
        inherited = _training.get()
        training = inherited if asked is None else asked
        if training is None:
            training = spec.training_default
        within = _calling.get()
        if within and training is inherited:
            return self._called(spec, args, kwargs, asked, training)
        tokens = _training.set(training), _calling.set(True)
        try:
            if not within:
                self._forget_losses()
            return self._called(spec, args, kwargs, asked, training)
        finally:
            _training.reset(tokens[0])
            _calling.reset(tokens[1])

    def _called(
        self, spec: CallSpec, args: tuple[Any, ...], kwargs: dict[str, Any], asked: bool | None, training: bool | None
    ) -> Any:
        """The output; ``asked`` is what the call itself was given for ``training``."""
        try:
            if not args and spec.names:
                # Keras's layers call their first input "inputs".
                args = tuple(kwargs.pop(name) for name in (spec.names[0], "inputs") if name in kwargs)
            if len(args) == 1 and isinstance(args[0], Tensor):
                x = self._as_input(args[0])
                args = (x,)
                if not kwargs and x.mask is None:  # nothing to draw, and no mask to hand on: so are nearly all calls
                    return self._run(spec, args, kwargs, training, None)
            elif args:
                args = (
                    map_leaves(self._as_input, _structure(args[0])),
                    *(map_leaves(self._further_input, value) for value in args[1:]),
                )
            elif spec.needs_input:
                raise TypeError(f"call() is missing its input {spec.names[0]!r}: give it as layer(x).")
            if kwargs:
                kwargs = {name: map_leaves(self._if_array, value) for name, value in kwargs.items()}
            if is_symbolic(args, kwargs):
                return self._draw(spec, args, kwargs, asked)
            return self._run(spec, args, kwargs, training, self._take_masks(spec, args, kwargs))
        except (TypeError, ValueError) as error:
            self._sign(error)
            raise

    def _run(
        self, spec: CallSpec, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool | None, mask: Any
    ) -> Any:
        """The output, with a mask if the input has the ``mask``."""
        if spec.training is not None and training is not None and len(args) <= spec.training:
            kwargs["training"] = bool(training)
        self._build_for(spec, args, kwargs)
        scope = current_scope()
        token = enter_scope(scope if self._building else (*scope, self.name))  # for layers that are built in the call
        try:
            output = self.call(*args, **kwargs)
        finally:
            leave_scope(token)
        if self.activity_regularizer is not None:
            for y in leaves(output):
                loss = self.activity_regularizer(y)
                self.add_loss(loss / max(y.shape[0], 1) if y.ndim else loss)  # alike for batches of every size
        if mask is not None or self._makes_masks:
            self._hand_on(spec, args, output, mask)
        return output

    def _build_for(self, spec: CallSpec, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        inputs = args[0] if args else None
        if not self.built:
            self._check_inputs(inputs)
            self.build(*spec.shapes_for(type(self).build, args, kwargs))
        self._check_inputs(inputs)

    def _draw(self, spec: CallSpec, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool | None) -> Any:
        """The symbolic output of a call that is noted for a functional model, with ``training`` if it was given."""
        self._build_for(spec, args, kwargs)
        # Masks are not noted: they travel with the tensors that the model is run with.
        noted = dict(kwargs) if training is None else {**kwargs, "training": training}
        mask = self._take_masks(spec, args, kwargs)
        node = CallNode(self, args, noted, self.compute_output_spec(*args, **kwargs))
        self._inbound_nodes.append(node)
        if mask is not None or self._makes_masks:
            self._hand_on(spec, args, node.structure, mask)
        return node.structure

    def _inferred(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            with use_device(self.device):
                return infer(functools.partial(self, training=False), args, kwargs)
        finally:
            self._forget_losses()  # they are those of ones

    def _take_masks(self, spec: CallSpec, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The mask of the first input; those that ``call`` takes and was not given are put into ``kwargs``."""
        mask = kwargs.get("mask")
        if mask is None and args:
            mask = _mask_of(args[0])
        if mask is not None and "mask" in spec.names[len(args) :]:
            kwargs["mask"] = mask
        for position, name in spec.masks:
            value = args[position] if position < len(args) else kwargs.get(spec.names[position])
            if kwargs.get(name) is None and (found := _mask_of(value)) is not None:
                kwargs[name] = found
        return mask

    def _hand_on(self, spec: CallSpec, args: tuple[Any, ...], output: Any, mask: Any) -> None:
        """Gives the output its mask, or says that the layer loses one."""
        if not self.supports_masking:
            if mask is not None and "mask" not in spec.names:
                warnings.warn(
                    f"Layer {self.name!r} ({type(self).__name__}) was given an input with a mask, which it does not "
                    "support: later layers will not see the mask.",
                    stacklevel=3,
                )
            return
        found = [y for y in leaves(output) if isinstance(y, Tensor | SymbolicTensor)]
        if all(y.mask is not None for y in found):
            return
        masks = self.compute_mask(args[0] if args else None, mask)
        for y, its_mask in zip(found, leaves(masks), strict=False):
            if y.mask is None:
                y.mask = its_mask

    def _further_input(self, x: Any) -> Any:
        if x is not None and not hasattr(x, "shape"):
            raise ValueError(f"only tensors are given by position; give {x!r} by its name, as layer(x, training=True).")
        return self._if_array(x)

    def _if_array(self, x: Any) -> Any:
        return self._as_input(x) if isinstance(x, Tensor | np.ndarray) else x

    def _as_input(self, x: Any) -> Any:
        if isinstance(x, Tensor):
            tensor = x
        elif x is None or isinstance(x, SymbolicTensor):
            return x
        else:
            tensor = Tensor(x, device=self._home())
        dtype = tensor._array.dtype
        if self.autocast and dtype != self.dtype_policy.compute_dtype and dtype.kind == "f":
            converted: Tensor = cast(tensor, self.compute_dtype)
            converted.mask = tensor.mask
            return converted
        return tensor

    def _home(self) -> Device | None:
        """Where arrays go that are on no device yet: to the weights."""
        device = self.device
        return None if device == CPU and current_device() == CPU else device

    def _check_inputs(self, inputs: Any) -> None:
        spec = self.input_spec
        if spec is None:
            return
        if isinstance(spec, InputSpec) and isinstance(inputs, Tensor):
            array = inputs._array
            spec.check(array.shape, array.dtype)
            return
        specs = leaves(self.input_spec)
        if isinstance(inputs, dict) and all(spec is not None and spec.name for spec in specs):
            inputs = [inputs.get(spec.name) for spec in specs]
        found = [inputs] if isinstance(self.input_spec, InputSpec) else leaves(inputs)
        if len(found) != len(specs):
            raise ValueError(f"expected {len(specs)} inputs; got {len(found)}.")
        for x, spec in zip(found, specs, strict=True):
            if spec is None or (x is None and spec.optional):
                continue
            if not hasattr(x, "shape"):
                what = map_leaves(lambda leaf: shape_of(leaf) or type(leaf).__name__, x)
                raise ValueError(f"expected one tensor as its input; got {what}.")
            spec.check(tuple(x.shape), x.dtype)

    def _sign(self, error: Exception) -> None:
        """Puts the layer's name in front of an error's message, unless a layer within has done so."""
        message = error.args[0] if len(error.args) == 1 else None
        if isinstance(message, str) and not hasattr(error, "layer"):
            error.args = (f"Layer {self.name!r} ({type(self).__name__}): {message}",)
            with contextlib.suppress(AttributeError):
                error.layer = self.name  # type: ignore[attr-defined]

    # Its place in a functional model

    @property
    def input(self) -> Any:
        """The symbolic input of the layer's only call. Raises ``ValueError`` if there is none, or more than one."""
        node = self._only_node("input")
        return node.args[0] if node.args else node.inputs

    @property
    def output(self) -> Any:
        """The symbolic output of the layer's only call. Raises ``ValueError`` if there is none, or more than one."""
        return self._only_node("output").structure

    def _only_node(self, wanted: str) -> CallNode:
        if len(self._inbound_nodes) != 1:
            calls = len(self._inbound_nodes)
            raise ValueError(
                f"Layer {self.name!r} has {calls or 'no'} symbolic {wanted}{'s' * (calls != 1)}: it was "
                + (
                    "not called with a symbolic tensor. Put an Input in front of it."
                    if not calls
                    else f"called that often. Keep the {wanted} of the call that you mean."
                )
            )
        return self._inbound_nodes[0]

    # Losses that do not come from the targets

    def add_loss(self, loss: Any) -> None:
        """Adds a scalar, computed in ``call``, to what training minimises."""
        self._added_losses.extend(leaves(loss))

    @property
    def losses(self) -> list[Tensor]:
        """Scalars of ``add_loss`` since the outermost call began, and the penalties on trainable weights."""
        found = list(self._added_losses)
        for layer in self._family().layers:
            found += layer._added_losses
        return found + [v.regularizer(v) for v in self.trainable_weights if v.regularizer is not None]

    def _forget_losses(self) -> None:
        self._added_losses.clear()
        for layer in self._family().layers:
            layer._added_losses.clear()

    # Configuration

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this layer anew, without its weights."""
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype_policy.serialize()}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if type(self).get_config is Layer.get_config and not self._config:
            config.update(self._own_arguments())
        for name in (name for base in reversed(type(self).__mro__) for name in vars(base).get("_config", ())):
            serialize = activations.serialize if name.endswith("activation") else serialization.serialize
            config[name] = serialize(getattr(self, name))
        return config

    def _own_arguments(self) -> dict[str, Any]:
        """What ``__init__`` was given beyond what every layer takes, where a file can hold it."""
        args, kwargs = self._given
        signature = inspect.signature(type(self).__init__)
        own = dict(signature.bind(self, *args, **kwargs).arguments)
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                own.update(own.pop(parameter.name, {}))
        own = {name: value for name, value in own.items() if name not in _EVERY_LAYERS_ARGUMENTS}
        for name, value in own.items():
            if not all(isinstance(leaf, PLAIN) for leaf in leaves(value)):
                raise NotImplementedError(
                    f"{type(self).__name__}.__init__ was given {name}={value!r}, which a file cannot hold, so the "
                    "class must implement get_config(): return {**super().get_config(), 'argument': ..., ...}."
                )
        return own

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes that the layer was built for; None if it was not."""
        if self._build_shapes is None:
            return None
        if len(self._build_shapes) == 1:
            return {"input_shape": self._build_shapes[0]}
        names = list(inspect.signature(type(self).build).parameters)[1:]
        return {"shapes_dict": dict(zip(names, self._build_shapes, strict=False))}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the layer for the shapes of ``get_build_config``."""
        if "input_shape" in config:
            self.build(_as_shapes(config["input_shape"]))
        elif "shapes_dict" in config:
            self.build(**{name: _as_shapes(shape) for name, shape in config["shapes_dict"].items()})

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer of ``get_config``'s dictionary. Raises ``TypeError`` where the constructor refuses it."""
        try:
            return cls(**config)
        except RefusedCodeError:
            raise
        except (TypeError, ValueError) as error:
            raise TypeError(f"{cls.__name__} cannot be made of the configuration {config!r}: {error}") from error

    # What files hold besides the configuration

    def save_own_variables(self, store: Any) -> None:
        """Writes the layer's own weights into ``store``, a dictionary of arrays by text.

        A layer overrides it, and ``load_own_variables``, to keep more or something else. What files hold beyond arrays
        is written by ``save_assets(folder)`` and read by ``load_assets(folder)``, where a layer has these methods.
        """
        save_variables(self._members()[0], store)

    def load_own_variables(self, store: Any) -> None:
        """Reads what ``save_own_variables`` wrote. Raises ``ValueError`` where it does not fit the weights."""
        load_variables(self._members()[0], store)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


@functools.cache
def constructor_arguments(kind: type) -> set[str]:
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
        before, was_built = len(self._own_weights), self.built
        try:
            scope = (*current_scope(), self.name) if outermost else current_scope()
            with scope_at(scope), use_device(self.device), for_good():
                if outermost:
                    self.path = "/".join(scope)
                build(self, *args, **kwargs)
            self.built = True
            if outermost:
                self._build_shapes = (*args, *kwargs.values())
                self._complete = True
        except (TypeError, ValueError) as error:
            del self._own_weights[before:]
            note_change()
            self.built = was_built  # the build of a base class may have come to its end
            self._sign(error)
            raise
        finally:
            self._building -= 1

    return scoped


Layer.build = _scoped(Layer.build)  # type: ignore[method-assign]  # __init_subclass__ does not see the base itself


class Elementwise(Layer):
    """The base of layers whose output has the shape of their input, and its mask."""

    _supports_masking = True
    _stateless = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def in_training() -> bool:
    """Whether the layers that are being called are told to train."""
    return bool(_training.get())


def _as_shapes(config: Any) -> Any:
    """Shapes that a file holds as lists, as tuples."""
    return map_shapes(lambda shape: None if shape is None else tuple(shape), config)


def _mask_of(inputs: Any) -> Any:
    """The masks of tensors, nested like them; None if none has one."""
    if isinstance(inputs, Tensor | SymbolicTensor):
        return inputs.mask
    masks = map_leaves(lambda x: getattr(x, "mask", None), inputs)
    return masks if any(mask is not None for mask in leaves(masks)) else None


def _structure(value: Any) -> Any:
    """A list of numbers is one input; a list of tensors or arrays is several."""
    if isinstance(value, list | tuple | dict) and not any(hasattr(leaf, "shape") for leaf in leaves(value)):
        return Tensor(value) if not isinstance(value, dict) else value
    return value

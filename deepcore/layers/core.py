"""Functions as layers, masks of sequences, and penalties on what passes by."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

from deepcore import ops, regularizers, serialization
from deepcore.layers.arguments import numeric
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Elementwise, Layer
from deepcore.structure import is_shape, map_shapes, shape_leaves
from deepcore.tensor import Tensor


class Lambda(Layer):
    """A function as a layer.

    Args:
        function: of the input, and of ``mask`` and ``training`` where it has parameters of these names.
        output_shape: of one example, or a function of the whole input shape; found by trying by default.
        mask: the mask of the output, or a function of the inputs and their mask.
        arguments: more arguments for ``function``, by name.

    A configuration holds the name of ``function``. That of a Python lambda is its code, and will be run only where
    code in files is allowed: with ``safe_mode=False``. Raises ``TypeError`` if ``function`` cannot be called.

    >>> Lambda(lambda x: x * 2)([[1.0, 2.0]]).tolist()
    [[2.0, 4.0]]
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Lambda: function must be a function; got {function!r} ({type(function).__name__}).")
        if not isinstance(arguments, dict | None):
            raise TypeError(f"Lambda: arguments must be a dictionary of names and values; got {arguments!r}.")
        self.function = function
        self.mask = mask
        self.arguments = dict(arguments or {})
        self.supports_masking = mask is not None
        self._output_shape = output_shape

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        known: Any = ()
        with contextlib.suppress(ValueError):  # builtins do not say
            known = inspect.signature(self.function).parameters
        passed = {name: value for name, value in (("mask", mask), ("training", training)) if name in known}
        return self.function(inputs, **{**self.arguments, **passed})

    def compute_output_shape(self, input_shape: Any) -> Any:
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        if self._output_shape is not None:
            batch = shape_leaves(input_shape)[0][0]
            return map_shapes(lambda shape: (batch, *shape), self._output_shape)
        try:
            return super().compute_output_shape(input_shape)
        except Exception as error:  # whatever the function raises when it is tried
            raise NotImplementedError(
                f"Lambda layer {self.name!r}: the shape of its output could not be found by trying ({error}). Give it "
                "output_shape."
            ) from error

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        own = {"function": self.function, "arguments": self.arguments}
        own.update({k: v for k, v in (("output_shape", self._output_shape), ("mask", self.mask)) if v is not None})
        return {**super().get_config(), **{name: serialization.serialize(value) for name, value in own.items()}}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None, safe_mode: bool | None = None) -> Any:
        """The layer of ``get_config``'s dictionary.

        Raises ``ValueError`` for the code of a lambda unless ``safe_mode`` is False.
        """
        config = dict(config)
        scope = contextlib.nullcontext() if safe_mode is None else serialization.SafeModeScope(safe_mode)
        with scope:
            for name in {"function", "output_shape", "mask", "arguments"} & set(config):
                config[name] = serialization.deserialize(config[name], custom_objects)
        shape = config.get("output_shape")
        if isinstance(shape, list) and is_shape(shape):
            config["output_shape"] = tuple(shape)
        return cls(**config)


class Masking(Elementwise):
    """Masks the steps of a sequence whose features all equal ``mask_value``, and makes them zero.

    Args:
        mask_value: a number.

    [batch, steps, features] -> the same, with a mask [batch, steps].
    """

    _config: tuple[str, ...] = ("mask_value",)
    input_spec = InputSpec()

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        given = serialization.deserialize(mask_value) if isinstance(mask_value, dict) else mask_value
        self.mask_value = numeric("mask_value", given)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), -1)

    def call(self, x: Tensor) -> Tensor:
        kept = self.compute_mask(x, None)
        y = ops.where(ops.expand_dims(kept, -1), x, 0.0)
        y.mask = kept
        return y


class ActivityRegularization(Elementwise):
    """The input itself, with a penalty on it for each example: l1 * sum(|x|) + l2 * sum(x * x)."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)
        self.l1, self.l2 = l1, l2

    def call(self, x: Any) -> Any:
        return x

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return {**config, "l1": self.l1, "l2": self.l2}

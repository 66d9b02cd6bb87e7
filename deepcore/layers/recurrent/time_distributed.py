"""TimeDistributed: one layer for every step."""

from __future__ import annotations

import inspect
from typing import Any

from deepcore import ops
from deepcore.layers.layer import Layer
from deepcore.layers.wrapper import Wrapper
from deepcore.ops.recurrent import joined_steps, steps_of
from deepcore.tensor import Tensor


class TimeDistributed(Wrapper):
    """Applies ``layer``, with the same weights, to every step of [batch, steps, ...].

    Layers of this package that treat each example by itself see all steps at once, as one large batch; others, such as
    batch normalisation and layers of your own, see one step after the other.

    Raises ``ValueError`` for inputs of rank below 3 and for masks that are not [batch, steps, ...].

    >>> import deepcore
    >>> from deepcore.layers import Conv2D
    >>> TimeDistributed(Conv2D(6, 3))(deepcore.random.normal((2, 4, 8, 8, 3))).shape
    (2, 4, 6, 6, 6)
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        super().build(_of_a_step(input_shape))

    def call(self, inputs: Tensor, training: bool | None = None, mask: Any = None) -> Tensor:
        batch, steps = inputs.shape[:2]
        if mask is not None and mask.shape[:2] != (batch, steps):
            raise ValueError(
                f"the mask must be [batch, steps, ...], {(batch, steps)} for inputs of shape {inputs.shape}; "
                f"got shape {mask.shape}."
            )
        takes_mask = mask is not None and "mask" in inspect.signature(self.layer.call).parameters
        if _by_example(self.layer):
            x = ops.reshape(inputs, (batch * steps, *inputs.shape[2:]))
            masks = {"mask": ops.reshape(mask, (batch * steps, *mask.shape[2:]))} if takes_mask else {}
            y = self.layer(x, **masks)
            return ops.reshape(y, (batch, steps, *y.shape[1:]))
        masks_of = [{"mask": m} for m in steps_of(mask, axis=1)] if takes_mask else [{}] * steps
        pairs = zip(steps_of(inputs, axis=1), masks_of, strict=True)
        return joined_steps([self.layer(x, **masks) for x, masks in pairs], axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, *others = self.layer.compute_output_shape(_of_a_step(input_shape))
        return (batch, input_shape[1], *others)


def _of_a_step(shape: Any) -> tuple[int | None, ...]:
    if not isinstance(shape, list | tuple) or len(shape) < 3:
        raise ValueError(f"TimeDistributed expects inputs [batch, steps, ...] of rank 3 or more; got shape {shape}.")
    return (shape[0], *shape[2:])


# Layers of this package that look across the batch, or count their calls in training.
_ACROSS_EXAMPLES = ("BatchNormalization", "Lambda", "SpectralNormalization")


def _by_example(layer: Layer) -> bool:
    """Whether what a layer gives for one example is known to depend on that example alone."""
    from deepcore.layers import registry

    name = type(layer).__name__
    if registry.entries.get(name) is not type(layer) or name in _ACROSS_EXAMPLES:
        return False
    if getattr(layer, "stateful", False) or getattr(layer, "noise_shape", None) is not None:
        return False
    graph = getattr(layer, "graph", None)  # of a functional model, whose functions may do anything
    if graph is not None and not all(isinstance(operation, Layer) for operation in graph.operations):
        return False
    return all(_by_example(part) for part in layer.sublayers())

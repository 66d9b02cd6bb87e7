"""Model: a layer that can be trained, measured and shown."""

from __future__ import annotations

from typing import Any

from deepcore.layers.layer import Layer
from deepcore.models.trainer import Trainer


class Model(Trainer, Layer):
    """A layer with ``compile``, ``fit``, ``evaluate`` and ``predict``. Subclass it and implement ``call``.

    >>> from deepcore.layers import Dense
    >>> class Double(Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.dense = Dense(1, kernel_initializer="ones")
    ...
    ...     def call(self, x):
    ...         return self.dense(x) * 2
    >>> Double().predict([[3.0]], verbose=0)
    array([[6.]], dtype=float32)
    """

    @property
    def layers(self) -> list[Layer]:
        """The layers directly within the model, in order."""
        return self.sublayers()

    def build(self, input_shape: Any) -> None:
        """Builds all layers, by one call with zeros."""
        if type(self).call is not Layer.call:
            self.built = True
            Layer.compute_output_shape(self, input_shape)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that place. Raises ``ValueError`` if there is none."""
        if (name is None) == (index is None):
            raise ValueError(f"get_layer takes a name or an index; got name={name!r}, index={index!r}.")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"The model has {len(layers)} layers; got index={index}.")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(f"The model has no layer {name!r}; it has {', '.join(repr(layer.name) for layer in layers)}.")

    def summary(
        self,
        line_length: int | None = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
    ) -> None:
        """Prints each layer with its output shape and number of parameters.

        Args:
            line_length: width in characters; that of the terminal by default.
            print_fn: called with the text instead of printing it.
            expand_nested: whether to show layers within layers.
            show_trainable: whether to say which layers are trainable.
        """
        from deepcore.models.summary import show

        show(self, line_length, print_fn, expand_nested, show_trainable)

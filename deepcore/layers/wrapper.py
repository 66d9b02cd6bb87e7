"""Wrapper: a layer around another one."""

from __future__ import annotations

from typing import Any

from deepcore.layers.layer import Layer


class Wrapper(Layer):
    """The base of layers that hold one other layer, in ``layer``.

    Raises ``ValueError`` for anything that is not a layer.
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        check_layer(layer, f"{type(self).__name__}: layer")
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)

    def get_config(self) -> dict[str, Any]:
        from deepcore.layers import serialize

        return {**super().get_config(), "layer": serialize(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        return cls(**{**config, "layer": made_of(config["layer"], custom_objects)})


def check_layer(layer: Any, what: str) -> None:
    """Raises ``ValueError`` for what is not a layer; the class of one is not."""
    if not isinstance(layer, Layer):
        hint = f" Make one of it: {layer.__name__}(...)." if isinstance(layer, type) else ""
        raise ValueError(f"{what} must be a layer; got {layer!r}.{hint}")


def made_of(config: dict[str, Any], custom_objects: Any = None) -> Any:
    """The layer within a layer, of its configuration; ``custom_objects`` are classes by name that it may be of."""
    from deepcore.layers import deserialize

    custom = (custom_objects or {}).get(config["class_name"])
    return deserialize(config) if custom is None else custom.from_config(config["config"])

"""Bidirectional: a recurrent layer that reads sequences from both ends."""

from __future__ import annotations

from typing import Any

from deepcore import ops
from deepcore.layers.layer import Layer
from deepcore.layers.wrapper import check_layer, made_of
from deepcore.structure import leaves
from deepcore.tensor import Tensor

_MERGES = ("sum", "mul", "ave", "concat", None)
_MUST_AGREE = ("stateful", "return_sequences", "return_state")


class Bidirectional(Layer):
    """Runs ``layer`` forwards and a second one backwards, and merges what they give.

    Args:
        layer: an ``RNN``, or a layer with its attributes. A new one is made of its configuration, without its weights.
        merge_mode: ``"concat"``, ``"sum"``, ``"mul"``, ``"ave"``, or None for both outputs, one after the other.
        weights: for both layers, those of the forward layer first; drawn anew by default.
        backward_layer: by default made of the configuration of ``layer``; it must go the other way and agree in
            ``stateful``, ``return_sequences`` and ``return_state``.

    Call arguments as ``RNN``'s; of ``initial_state`` the first half is the forward layer's. With ``return_sequences``
    the outputs of both are in the order of the steps, and zeros where the mask is false. Raises ``ValueError`` for
    other arguments. Schuster and Paliwal 1997.

    >>> import deepcore
    >>> from deepcore.layers import LSTM
    >>> Bidirectional(LSTM(4, return_sequences=True))(deepcore.random.normal((2, 5, 3))).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        check_layer(layer, "Bidirectional: layer")
        if backward_layer is not None:
            check_layer(backward_layer, "Bidirectional: backward_layer")
        if merge_mode not in _MERGES:
            raise ValueError(
                f"merge_mode must be one of {', '.join(map(repr, _MERGES))}; got merge_mode={merge_mode!r}."
            )
        for name in ("go_backwards", *_MUST_AGREE):
            if not hasattr(layer, name):
                raise TypeError(f"Bidirectional runs recurrent layers, which have {name!r}; got {layer!r}.")
        super().__init__(**kwargs)
        self.forward_layer = _renamed(layer, "forward")
        self.backward_layer = backward_layer or _renamed(layer, "backward", go_backwards=True)
        self._check_pair()
        for one in (self.forward_layer, self.backward_layer):
            if hasattr(one, "zero_output_for_mask"):
                one.zero_output_for_mask = one.return_sequences
        self.merge_mode = merge_mode
        self.stateful: bool = layer.stateful
        self.return_sequences: bool = layer.return_sequences
        self.return_state: bool = layer.return_state
        self.input_spec = layer.input_spec
        self.supports_masking = True
        self._first_weights = None if weights is None else tuple(weights)

    def _check_pair(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                "layer and backward_layer must go opposite ways; both have "
                f"go_backwards={forward.go_backwards}. Give one of them go_backwards={not forward.go_backwards}."
            )
        for name in _MUST_AGREE:
            ours, theirs = getattr(forward, name), getattr(backward, name)
            if ours != theirs:
                raise ValueError(
                    f"layer and backward_layer must agree in {name}; got {name}={ours} and {name}={theirs}."
                )

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
        if self._first_weights is not None:
            self.set_weights(self._first_weights)

    def get_build_config(self) -> dict[str, Any] | None:
        return None if self._build_shapes is None else {"input_shape": self._build_shapes[0]}

    @property
    def states(self) -> tuple[Any, ...] | None:
        """The states of both layers where they are stateful, the forward layer's first; None before they are built."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return (*forward, *backward) if forward and backward else None

    def reset_state(self) -> None:
        """Makes the states of both layers zeros. Raises ``AttributeError`` where they are not stateful."""
        if not self.stateful:
            raise AttributeError(f"Layer {self.name!r} keeps no states to reset: its layers are not stateful.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """``reset_state`` by its older name."""
        self.reset_state()

    def call(self, sequences: Tensor, initial_state: Any = None, mask: Any = None, training: bool | None = None) -> Any:
        found = []
        for i, layer in enumerate((self.forward_layer, self.backward_layer)):
            given = {} if mask is None else {"mask": mask}
            if initial_state is not None:
                half = len(initial_state) // 2
                given["initial_state"] = initial_state[i * half : (i + 1) * half]
            found.append(layer(sequences, **given))
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*found[0][1:], *found[1][1:])
            found = [result[0] for result in found]
        y, reverse = found
        if self.return_sequences:
            reverse = ops.flip(reverse, 1)
        merged = self._merged(y, reverse)
        if self.merge_mode is None:
            return (*merged, *states)
        return (merged, *states) if self.return_state else merged

    def _merged(self, y: Tensor, reverse: Tensor) -> Any:
        if self.merge_mode == "concat":
            return ops.concatenate([y, reverse], -1)
        if self.merge_mode == "mul":
            return y * reverse
        if self.merge_mode is None:
            return y, reverse
        total = y + reverse
        return total / 2 if self.merge_mode == "ave" else total

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        shape = self.forward_layer.compute_output_shape(sequences_shape)
        states: tuple[Any, ...] = ()
        if self.return_state:
            shape, *own = shape
            states = (*own, *own)
        if self.merge_mode == "concat":
            shape = (*shape[:-1], 2 * shape[-1])
        if self.merge_mode is None:
            return (shape, shape, *states)
        return (shape, *states) if self.return_state else shape

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = leaves(previous_mask)[0] if self.return_sequences else None
        return (mask, mask) if self.merge_mode is None else mask

    def get_config(self) -> dict[str, Any]:
        from deepcore.layers import serialize

        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize(self.forward_layer),
            "backward_layer": serialize(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Bidirectional:
        names = [name for name in ("layer", "backward_layer") if config.get(name)]
        layers = {name: made_of(config[name], custom_objects) for name in names}
        return cls(**{**config, **layers})


def _renamed(layer: Any, way: str, **changes: Any) -> Any:
    """A new layer of the configuration of ``layer``, called ``forward_...`` or ``backward_...``."""
    name = f"{way}_{layer.name.removeprefix(f'{way}_')}"
    made = type(layer).from_config({**layer.get_config(), "name": name, **changes})
    if hasattr(layer, "use_cudnn"):
        made.use_cudnn = layer.use_cudnn
    return made

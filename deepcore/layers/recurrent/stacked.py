"""Several cells, one above the other, as one cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deepcore.layers.layer import Layer
from deepcore.layers.recurrent.cell import States, check_cell, output_size_of, start_of
from deepcore.layers.wrapper import made_of


class StackedRNNCells(Layer):
    """The cells one above the other: each takes what the one below gives.

    Args:
        cells: what ``RNN`` takes one of.

    The states are a list with the states of each cell. Raises ``ValueError`` for what is not a cell.

    >>> import deepcore
    >>> from deepcore.layers import LSTMCell, RNN
    >>> RNN(StackedRNNCells([LSTMCell(8), LSTMCell(4)]))(deepcore.random.normal((2, 5, 3))).shape
    (2, 4)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for cell in cells:
            check_cell(cell, "StackedRNNCells: each cell")
        self.cells = list(cells)

    @property
    def state_size(self) -> list[Any]:
        """The sizes of each cell's states."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The size of what the last cell gives."""
        return output_size_of(self.cells[-1])

    def get_initial_state(self, batch_size: int) -> States:
        """What each cell starts from."""
        return [start_of(cell, batch_size, self) for cell in self.cells]

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
            input_shape = (input_shape[0], output_size_of(cell))

    def call(self, inputs: Any, states: States) -> tuple[Any, States]:
        after = []
        for cell, before in zip(self.cells, states, strict=True):
            nested = isinstance(before, list | tuple)
            inputs, new = (cell if callable(cell) else cell.call)(inputs, list(before) if nested else [before])
            after.append(new if nested or not isinstance(new, list | tuple) else new[0])
        return inputs, after

    def get_config(self) -> dict[str, Any]:
        from deepcore.layers import serialize

        return {**super().get_config(), "cells": [serialize(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> StackedRNNCells:
        return cls(**{**config, "cells": [made_of(cell, custom_objects) for cell in config["cells"]]})

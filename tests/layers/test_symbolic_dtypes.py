"""The dtypes and shapes of symbolic tensors, before there are values."""

from __future__ import annotations

import pytest

from deepcore import layers, ops
from deepcore.symbolic import SymbolicTensor


@pytest.mark.parametrize(
    "layer",
    [layers.Flatten(), layers.Reshape((6,)), layers.Permute((2, 1)), layers.Identity()],
    ids=lambda layer: type(layer).__name__,
)
def test_what_only_moves_elements_keeps_integers(layer):
    assert layer(layers.Input((2, 3), dtype="int32")).dtype == "int32"
    assert layer(layers.Input((2, 3), dtype="bool")).dtype == "bool"
    assert layer(layers.Input((2, 3), dtype="float64")).dtype == "float32"  # as the call casts its inputs


def test_each_part_of_a_structure_keeps_its_dtype():
    drawn = layers.Identity()([layers.Input((2,)), layers.Input((3,), dtype="int32")])
    assert [x.dtype.name for x in drawn] == ["float32", "int32"]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((None, 3), (2, None), (2, 3)),
        ((None, 3), (1, None), (None, 3)),
        ((None, 3), (5, 3), (5, 3)),
        ((None, 1), (None, None), (None, None)),
        ((None,), (4, 7, 1), (4, 7, None)),
    ],
)
def test_open_sizes_broadcast(a, b, expected):
    assert ops.add(SymbolicTensor(a), SymbolicTensor(b)).shape == expected
    assert ops.maximum(SymbolicTensor(b), SymbolicTensor(a)).shape == expected


def test_open_sizes_fit_what_they_meet():
    joined = ops.concatenate([SymbolicTensor((None, 3)), SymbolicTensor((2, None))], 0)
    assert joined.shape == (None, 3)
    assert ops.matmul(SymbolicTensor((5, None)), SymbolicTensor((7, 2))).shape == (5, 2)


def test_sizes_that_cannot_fit_are_refused():
    with pytest.raises(ValueError, match="broadcast"):
        ops.add(SymbolicTensor((None, 3)), SymbolicTensor((2, 4)))

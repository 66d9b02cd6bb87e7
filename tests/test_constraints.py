"""Constraints and regularizers against their formulas, by name, and on the weights of a layer."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import Tensor, constraints, layers, regularizers

# Every test runs on the CPU, on the emulator, and on a GPU where there is one.
pytestmark = pytest.mark.usefixtures("device")

W = np.array([[3.0, 0.1, -1.0], [-4.0, 0.2, 2.0]], np.float32)
NORMS = np.sqrt((np.float64(W) ** 2).sum(0))

FORMULAS = [
    (constraints.MaxNorm(2.0), W * np.minimum(NORMS, 2) / NORMS),
    (constraints.MaxNorm(2.0, axis=[0, 1]), W * 2 / np.sqrt((np.float64(W) ** 2).sum())),
    (constraints.NonNeg(), np.maximum(W, 0)),
    (constraints.UnitNorm(), W / NORMS),
    (constraints.UnitNorm(axis=1), W / np.sqrt((np.float64(W) ** 2).sum(1, keepdims=True))),
    (constraints.MinMaxNorm(1.0, 3.0), W * np.clip(NORMS, 1, 3) / NORMS),
    (constraints.MinMaxNorm(1.0, 3.0, rate=0.25), W * (0.25 * np.clip(NORMS, 1, 3) + 0.75 * NORMS) / NORMS),
]


@pytest.mark.parametrize(("constraint", "expected"), FORMULAS, ids=lambda value: repr(value)[:40])
def test_values(constraint, expected):
    y = constraint(W)
    assert y.dtype == np.float32
    # The norms have 1e-7 added before they divide, the smallest of them 0.22.
    np.testing.assert_allclose(y.numpy(), expected, rtol=2e-6, atol=1e-7)


def test_a_weight_of_nothing_stays_nothing():
    zeros = np.zeros((3, 2), np.float32)
    for constraint in (constraints.MaxNorm(), constraints.UnitNorm(), constraints.MinMaxNorm(0.5)):
        np.testing.assert_array_equal(constraint(zeros).numpy(), zeros)


@pytest.mark.parametrize("constraint", [constraint for constraint, _ in FORMULAS])
def test_configurations_round_trip(constraint):
    config = constraints.serialize(constraint)
    again = constraints.deserialize(config)
    assert type(again) is type(constraint)
    assert constraints.serialize(again) == config


def test_names():
    assert isinstance(constraints.get("max_norm"), constraints.MaxNorm)
    assert isinstance(constraints.get("NonNeg"), constraints.NonNeg)
    assert isinstance(constraints.get(constraints.UnitNorm), constraints.UnitNorm)
    assert constraints.min_max_norm is constraints.MinMaxNorm
    assert constraints.get(None) is None
    halve = lambda w: w * 0.5  # noqa: E731
    assert constraints.get(halve) is halve
    with pytest.raises(ValueError, match="Did you mean 'unit_norm'"):
        constraints.get("unit_nrom")


def test_the_weights_of_a_dense_layer_have_them():
    layer = layers.Dense(3, kernel_constraint="non_neg", bias_constraint=constraints.MaxNorm(1.5))
    layer.build((None, 2))
    assert isinstance(layer.kernel.constraint, constraints.NonNeg)
    assert layer.bias.constraint.max_value == 1.5
    again = layers.Dense.from_config(layer.get_config())
    assert isinstance(again.kernel_constraint, constraints.NonNeg)
    assert again.bias_constraint.max_value == 1.5


@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_orthogonal_regularizer(mode):
    rows = np.float64(W if mode == "rows" else W.T)
    expected = 0.0
    for i in range(len(rows)):
        for j in range(i):
            cosine = rows[i] @ rows[j] / np.sqrt((rows[i] @ rows[i]) * (rows[j] @ rows[j]))
            expected += abs(cosine)
    expected *= 0.3 / (len(rows) * (len(rows) - 1) / 2)
    penalty = regularizers.OrthogonalRegularizer(0.3, mode)(Tensor(W))
    assert penalty.item() == pytest.approx(expected, rel=1e-5)


def test_penalties():
    w = Tensor(W)
    assert regularizers.get("l1")(w).item() == pytest.approx(0.01 * np.abs(W).sum(), rel=1e-6)
    assert regularizers.l2(0.1)(w).item() == pytest.approx(0.1 * (np.float64(W) ** 2).sum(), rel=1e-6)
    both = regularizers.l1_l2(0.1, 0.2)
    assert both(w).item() == pytest.approx(0.1 * np.abs(W).sum() + 0.2 * (np.float64(W) ** 2).sum(), rel=1e-6)
    assert regularizers.L1(None).get_config() == {"l1": 0.01}
    assert regularizers.L1L2(None, None)(w).item() == 0
    for thing in (both, regularizers.OrthogonalRegularizer(mode="columns"), regularizers.L1(0.3), regularizers.L2(0.2)):
        config = regularizers.serialize(thing)
        assert regularizers.serialize(regularizers.deserialize(config)) == config


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: regularizers.L1(-0.1), "L1: l1 must be a number.*got -0.1"),
        (lambda: regularizers.L2("much"), "L2: l2 must be a number.*'much'"),
        (lambda: regularizers.L1L2(l2=float("nan")), "l2 must be a number, finite"),
        (lambda: regularizers.OrthogonalRegularizer(float("inf")), "factor must be a number, finite"),
        (lambda: regularizers.OrthogonalRegularizer(mode="diagonal"), "`mode`.*diagonal"),
        (lambda: regularizers.OrthogonalRegularizer()(np.ones(3)), r"must have rank 2.*\(3,\)"),
    ],
)
def test_impossible_penalties(make, words):
    with pytest.raises(ValueError, match=words):
        make()

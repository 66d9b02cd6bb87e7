"""Inputs for the tests of operations, in float64."""

from __future__ import annotations

import numpy as np

RNG = np.random.default_rng(5)


def normal(*shape):
    return RNG.standard_normal(shape)


def positive(*shape):
    return RNG.uniform(0.5, 2.0, shape)


def off_kinks(*shape):
    """Values that stay well away from the kinks of relu, relu6, hard_sigmoid and abs."""
    return RNG.uniform(0.2, 2.8, shape) * RNG.choice([-1.0, 1.0], shape)


def distinct(*shape):
    """Values that are all far apart, so that no maximum is near a tie."""
    size = int(np.prod(shape))
    return RNG.permutation(size).reshape(shape) * 0.37 - size / 7


def definite(n, *batch):
    """Symmetric positive definite matrices with eigenvalues that are far apart."""
    q, _ = np.linalg.qr(RNG.standard_normal((*batch, n, n)))
    return q @ (np.arange(1.0, n + 1)[:, None] * np.swapaxes(q, -1, -2))


def words(text):
    """The words of a text, in a list."""
    return text.split()

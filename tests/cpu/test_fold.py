"""Overlap-add against NumPy, for every vector unit that this machine has."""

from __future__ import annotations

import numpy as np
import pytest
from microkernels import compiled

from deepcore.kernels.cpu.fold import Fold, emit_fold, row_vectors
from deepcore.kernels.cpu.host import has_slow_masks, hosts
from deepcore.kernels.cpu.record import address

GUARD = 123.5  # what lies behind the result and must stay there
FOLDS = {
    "overlapping": Fold(10, 30, 6, 0, 84),
    "cropped on both sides": Fold(28, 5, 1, 2, 28),
    "with gaps": Fold(4, 6, 10, 0, 41),
    "beginning inside": Fold(5, 21, 6, -3, 60),
}


@pytest.mark.parametrize("name", FOLDS)
@pytest.mark.parametrize("host", hosts(), ids=lambda host: host.vector)
def test_sums_where_pixels_overlap(host, name, rng):
    one = FOLDS[name]
    fold = compiled(emit_fold(one, host), "fold", host)
    runs = rng.standard_normal((one.pixels, one.reach)).astype(np.float32)
    pixels = np.zeros(host.lanes + one.pixels * row_vectors(one, host) * host.lanes, np.float32)
    if has_slow_masks(host):  # nor is anything read that is no element of a pixel
        pixels[...] = np.nan
    for run, row in zip(runs, pixels[host.lanes :].reshape(one.pixels, -1), strict=True):
        row[: one.reach] = run
    y = np.full(one.size + 1, GUARD, np.float32)
    fold(address(pixels) + host.vector_bytes, address(y))

    around = 100
    exact = np.zeros(one.size + 2 * around)
    for q, run in enumerate(runs):
        first = around + q * one.step - one.before
        exact[first : first + one.reach] += run
    np.testing.assert_allclose(y[:-1], exact[around:-around], atol=1e-5)
    assert y[-1] == GUARD


@pytest.mark.parametrize("host", [host for host in hosts() if has_slow_masks(host)], ids=lambda host: host.vector)
def test_one_of_the_runs_of_a_pixel_is_added(host, rng):
    one = Fold(10, 9, 3, 3, 30, runs=3, adds=True)
    fold = compiled(emit_fold(one, host), "fold", host)
    pixels = rng.standard_normal((one.pixels + 1, row_vectors(one, host) * host.lanes)).astype(np.float32)
    y = rng.standard_normal(one.size).astype(np.float32)
    around = 100
    exact = np.zeros(one.size + 2 * around)
    exact[around:-around] = y
    for q in range(one.pixels):
        first = around + q * one.step - one.before
        exact[first : first + one.reach] += pixels[1 + q, one.reach : 2 * one.reach]
    fold(address(pixels[1:]) + 4 * one.reach, address(y))
    np.testing.assert_allclose(y, exact[around:-around], atol=1e-5)

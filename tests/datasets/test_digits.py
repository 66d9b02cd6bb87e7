"""The bundled 8x8 digits, and what importing the data sets costs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from deepcore.datasets import digits

# The first labels for the default seed.
TRAIN = [3, 7, 1, 3, 1, 3, 4, 4, 2, 4, 3, 5]
TEST = [6, 3, 2, 4, 0, 1, 8, 5, 7, 6, 6, 8]


def rows(x, y):
    return sorted((int(label), image.tobytes()) for image, label in zip(x, y, strict=True))


def test_both_parts_together_are_the_whole_set():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    bunch = load_digits()
    everything = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    assert rows(*everything) == rows(bunch.images.astype(np.uint8), bunch.target)
    for x, y in ((x_train, y_train), (x_test, y_test)):
        assert x.dtype == y.dtype == np.uint8
        assert x.shape == (len(y), 8, 8)
    assert x_train.min() == 0
    assert x_train.max() == 16


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5, 0.75])
def test_every_class_has_its_share_in_both_parts(fraction):
    (_, y_train), (_, y_test) = digits.load_data(test_fraction=fraction)
    train, test = np.bincount(y_train, minlength=10), np.bincount(y_test, minlength=10)
    np.testing.assert_array_equal(train + test, np.bincount(load_digits().target))
    assert np.abs(test - fraction * (train + test)).max() <= 0.5


def test_the_split_depends_on_the_seed_and_on_nothing_else():
    first = digits.load_data(seed=3)
    np.random.seed(11)  # noqa: NPY002 (the global generator must not matter)
    again, other = digits.load_data(seed=3), digits.load_data(seed=4)
    for part in range(2):
        for index in range(2):
            np.testing.assert_array_equal(first[part][index], again[part][index])
    assert not np.array_equal(first[1][0], other[1][0])


def test_the_split_is_the_same_on_every_machine():
    (_, y_train), (_, y_test) = digits.load_data()
    assert y_train[:12].tolist() == TRAIN
    assert y_test[:12].tolist() == TEST


def test_labels_are_shuffled():
    (_, y_train), (_, y_test) = digits.load_data()
    for labels in (y_train, y_test):
        assert (np.diff(labels.astype(int)) != 0).mean() > 0.8


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5, 0.001, 0.999, float("nan")])
def test_a_fraction_that_empties_a_part_is_refused(fraction):
    with pytest.raises(ValueError, match=f"test_fraction={fraction}"):
        digits.load_data(test_fraction=fraction)


def test_without_scikit_learn_the_install_line_is_given(monkeypatch):
    for name in ("sklearn", "sklearn.datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'deepcore\[data\]'"):
        digits.load_data()


def test_importing_the_data_sets_imports_no_optional_package():
    program = "import sys, deepcore.datasets; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "deepcore" in loaded
    assert not loaded & {"pooch", "requests", "urllib3", "sklearn", "scipy", "rich", "numba", "PIL"}

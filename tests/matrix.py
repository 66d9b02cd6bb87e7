"""What the tests of the hot operations share: each implementation by itself, poisoned outputs, and tolerances."""

from __future__ import annotations

import contextlib
import importlib

import numpy as np
import pytest

from deepcore.backend import FILES
from deepcore.backend.dispatch import Call, implementations, use_implementation
from deepcore.backend.geometry import RowsGeometry

DTYPES = ("float32", "float64")
SHAPES = ((1, 1), (1, 7), (5, 1), (7, 5), (13, 6), (3, 5, 7), (2, 3, 5, 11), (127, 67))
DEVICES = {"numpy": "cpu", "cuda": "cuda"}


def each_implementation(backend, op, dtype, geometry):
    """Yields the name of every implementation that runs this call here, and forces it meanwhile."""
    names = [
        record.name
        for record in implementations(op, DEVICES[backend.name])
        if record.verdict(Call(op, np.dtype(dtype).name, geometry))[0] and not is_numba_sibling(record)
    ]
    assert names, f"nothing on {backend.name} serves {op} {geometry}"
    for name in names:
        with use_implementation(op, name):
            yield name


def assert_sums_agree(actual, expected, magnitude, length, dtype, label):
    """Each element of ``actual`` is a sum of ``length`` products rounded to ``dtype``.

    The error of such a sum in any order is at most length * eps * (the sum of the absolute products); ``magnitude`` is
    that sum, element by element, and two roundings are added for the factors and the result.
    """
    assert actual.dtype == np.dtype(dtype), f"{label}: dtype {actual.dtype}"
    assert actual.shape == expected.shape, f"{label}: shape {actual.shape}, expected {expected.shape}"
    assert actual.flags.c_contiguous, f"{label}: not C-contiguous"
    assert np.isfinite(actual).all(), f"{label}: not finite"
    error = np.abs(actual.astype(np.float64) - expected)
    allowed = (length + 2) * np.finfo(dtype).eps * magnitude
    assert (error <= allowed).all(), f"{label}: error {error.max():.2e}, {(error - allowed).max():.2e} too much"


def every_implementation(file, *ops, backend="numpy"):
    """Parameters (op, name) for ``pytest.mark.parametrize``, of the operations of one backend file."""
    importlib.import_module(f"deepcore.backend.{backend}.{file}")
    return [
        pytest.param(op, record.name, id=f"{op}-{record.name}")
        for op in ops
        for record in implementations(op, DEVICES[backend])
        if not is_numba_sibling(record)
    ]


def is_numba_sibling(record):
    """Whether the emulator cannot run it; ``cuda/test_numba_siblings.py`` tests these in Numba's simulator."""
    return record.name.startswith("cuda-numba")


def available(parameters):
    """The (op, name) among such parameters that this machine can run, for tests that compare them with each other."""
    for op, name in (parameter.values for parameter in parameters):
        if any(record.name == name and record.available()[0] for record in implementations(op, "cpu")):
            yield op, name


@contextlib.contextmanager
def held_to(op, name, dtype=None):
    """Within the block, ``op`` runs as ``name``; skips where it does not serve ``dtype`` or this machine lacks it."""
    (record,) = (record for record in implementations(op) if record.name == name)
    ok, reason = record.available()
    if not ok:
        pytest.skip(reason)
    if dtype is not None:
        ok, reason = record.supports(Call(op, np.dtype(dtype).name, RowsGeometry(7, 5)))
        if not ok:
            pytest.skip(reason)
    with use_implementation(op, name):
        yield


class _PoisonedNumpy:
    """NumPy, but memory that is not written to holds NaN, and -1 where there is no NaN."""

    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, *args, **kwargs):
        out = np.empty(*args, **kwargs)
        out.fill(np.nan if out.dtype.kind == "f" else np.iinfo(out.dtype).max)
        return out


@pytest.fixture
def poisoned(monkeypatch):
    """Outputs that a backend function leaves unwritten come out as NaN."""
    for file in (*FILES, "rows"):
        module = importlib.import_module(f"deepcore.backend.numpy.{file}")
        if hasattr(module, "np"):
            monkeypatch.setattr(module, "np", _PoisonedNumpy())


def check(actual, expected, dtype, length=1, scale=None):
    """Asserts dtype, layout, shape and values; rounding errors may grow with the square root of ``length``.

    ``scale`` is the size of the terms that were added, where they may cancel.
    """
    assert isinstance(actual, np.ndarray)
    assert actual.dtype == dtype
    assert actual.flags.c_contiguous
    assert actual.shape == np.shape(expected)
    expected = np.asarray(expected, dtype=np.float64)
    assert np.array_equal(np.isnan(actual), np.isnan(expected))
    if scale is None:
        scale = max(1.0, float(np.max(np.abs(expected[np.isfinite(expected)]), initial=0.0)))
    tolerance = np.finfo(dtype).eps * (8 + 4 * length**0.5)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale)


def numerical_gradient(function, x, dy, step=1e-6):
    """The gradient of ``sum(function(x) * dy)`` by central differences; ``x`` float64."""
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        saved = x[index]
        x[index] = saved + step
        above = np.sum(function(x) * dy)
        x[index] = saved - step
        below = np.sum(function(x) * dy)
        x[index] = saved
        gradient[index] = (above - below) / (2 * step)
    return gradient


def check_gradients(gradients, function, inputs, dy):
    """Raises unless ``gradients``, in float64, are those of ``function`` in each of its inputs, by differences."""
    assert len(gradients) == len(inputs)
    for place, actual in enumerate(gradients):

        def of_one(value, place=place):
            return function(*inputs[:place], value, *inputs[place + 1 :])

        assert actual.dtype == np.float64
        assert actual.flags.c_contiguous
        np.testing.assert_allclose(actual, numerical_gradient(of_one, inputs[place], dy), rtol=1e-5, atol=1e-6)


def with_gaps(array):
    """The same values in memory that is neither C- nor F-contiguous."""
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1] + 1), np.nan if array.dtype.kind == "f" else 0, array.dtype)
    view = wide[..., 1::2]
    view[...] = array
    return view


def scattered(rng, shape, dtype):
    """Normal numbers in an array that is contiguous in no axis order."""
    return with_gaps(rng.standard_normal(shape).astype(dtype))

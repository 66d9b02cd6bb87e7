"""What the tests of the hot operations share: the implementations to force, and how exact a sum of products must be."""

import numpy as np

from deepcore.backend.dispatch import Call, implementations, use_implementation

DEVICES = {"numpy": "cpu", "cuda": "cuda"}


def each_implementation(backend, op, dtype, geometry):
    """Yields the name of every implementation that runs this call here, and forces it meanwhile."""
    names = [
        record.name
        for record in implementations(op, DEVICES[backend.name])
        if record.verdict(Call(op, np.dtype(dtype).name, geometry))[0]
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


def scattered(rng, shape, dtype):
    """Normal numbers in an array that is contiguous in no axis order."""
    doubled = rng.standard_normal((*shape[:-1], 2 * shape[-1])).astype(dtype)
    return doubled[..., ::2]

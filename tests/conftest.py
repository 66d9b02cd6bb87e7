"""The test matrix: a test that takes ``backend`` runs once on every backend that this machine can execute."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore.backend import numpy_backend


@pytest.fixture(params=["numpy"])
def backend(request):
    """A backend; its arrays are made by ``backend.xp`` and read by ``numpy.asarray``."""
    return numpy_backend()


@pytest.fixture
def rng():
    """Random numbers, the same ones in every run."""
    return np.random.default_rng(20_240_607)

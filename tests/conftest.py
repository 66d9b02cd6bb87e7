"""The test matrix: a test that takes ``backend`` or ``device`` runs once on each that this machine can execute."""

from __future__ import annotations

import os

import numpy as np
import pytest
from devices import DEVICES, skip_unless_there

from deepcore.backend import numpy_backend
from deepcore.device import use_device


@pytest.fixture(scope="session", autouse=True)
def _builds_of_their_own(tmp_path_factory):
    """Kernels are not built into the user's folder; DEEPCORE_TEST_HOME names one to keep them in from run to run.

    Worker processes share one folder: each of them would otherwise build what another has built.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    patch = pytest.MonkeyPatch()
    patch.setenv("DEEPCORE_HOME", os.environ.get("DEEPCORE_TEST_HOME") or str(folder / "deepcore"))
    yield
    patch.undo()


@pytest.fixture(params=["numpy"])
def backend(request):
    """A backend; its arrays are made by ``backend.xp`` and read by ``numpy.asarray``."""
    return numpy_backend()


@pytest.fixture(params=DEVICES)
def device(request):
    """The name of a device, on which new tensors live during the test."""
    skip_unless_there(request.param)
    with use_device(request.param):
        yield request.param


@pytest.fixture
def rng():
    """Random numbers, the same ones in every run."""
    return np.random.default_rng(20_240_607)

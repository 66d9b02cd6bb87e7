"""PyTorch, JAX and Keras themselves, where they are installed: the same arrays, the same networks, the same numbers."""

from __future__ import annotations

import importlib.util
import os

import numpy as np
import pytest
from benchmark_examples import EVERY_KIND, QUICK, SMALL, TINY

import deepcore
from deepcore.benchmarks import memory, predict, train
from deepcore.benchmarks.case import cases_of
from deepcore.benchmarks.device import open_device
from deepcore.benchmarks.learner import KerasLearner
from deepcore.benchmarks.network import NETWORKS, Conv, Dense, Flatten, Network, Optimizer, weights_of
from deepcore.benchmarks.peer import NETWORK_PEERS, PEERS, open_peers
from deepcore.benchmarks.run import measure, plan
from deepcore.errors import UnsupportedCallError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def needs(*packages):
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{' and '.join(missing)} not installed")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", TINY.layers, ids=lambda layer: layer.name)
@pytest.mark.parametrize("name", [pytest.param("torch", marks=needs("torch")), pytest.param("jax", marks=needs("jax"))])
def test_every_way_of_every_direction_is_right(name, layer, dtype):
    (peer,) = open_peers([name], 1, PEERS)
    cpu = open_device("cpu")
    cases = cases_of(TINY, layer, dtype=dtype)
    for job in plan(cases, cpu, peers=[peer]):
        asymmetric = layer.name == "conv" and name == "torch"
        assert bool(job.refused) == asymmetric
        theirs = [row for row in measure(job, cpu, QUICK) if row.peer]
        assert len(theirs) == job.count - len(job.candidates)
        for row in theirs:
            assert row.correct, (row.op, row.implementation, row.message)
            assert row.ratio_p50 > 0
            assert row.threads == 1
        assert sum(row.chosen for row in theirs) == (not asymmetric)


@needs("torch")
def test_pytorch_runs_in_both_memory_formats_on_as_many_threads():
    import torch

    (peer,) = open_peers(["torch"], 1, PEERS)
    assert torch.get_num_threads() == 1
    assert peer.settings["threads"] == "1"
    assert peer.settings["THP_MEM_ALLOC_ENABLE"] == os.environ["THP_MEM_ALLOC_ENABLE"]
    (layer,) = [layer for layer in TINY.layers if layer.name == "max"]
    (case,) = cases_of(TINY, layer, ["fprop"])
    last, first = peer.variants(case)
    assert (last.name, last.layout, first.name, first.layout) == ("channels_last", "NHWC", "contiguous", "NCHW")
    ((image,), (planes,)) = (variant.prepare(case.arrays()) for variant in (last, first))
    assert image.is_contiguous(memory_format=torch.channels_last)
    assert planes.is_contiguous()
    assert image.shape == planes.shape == (2, 3, 7, 7)


@needs("torch")
def test_pytorch_refuses_padding_that_it_does_not_have():
    (peer,) = open_peers(["torch"], 1, PEERS)
    (layer,) = [layer for layer in TINY.layers if layer.name == "conv"]
    (case,) = cases_of(TINY, layer, ["fprop"])
    with pytest.raises(
        UnsupportedCallError, match=r"PyTorch pads both ends alike; the layer pads \(\(1, 1\), \(0, 1\)\)"
    ):
        peer.variants(case)


FLAT = Network("flat", "", (5, 4, 2), (Conv(3, 3), Flatten(), Dense(4, "relu"), Dense(3)), Optimizer("rmsprop"))
BOTH = [pytest.param("torch", marks=needs("torch")), pytest.param("keras", marks=needs("keras", "torch"))]


@pytest.fixture
def backend(monkeypatch):
    """Keras keeps the backend with which it was first imported."""
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("network", [SMALL, FLAT, EVERY_KIND], ids=lambda network: network.name)
@pytest.mark.parametrize("name", BOTH)
def test_a_network_answers_alike(name, network):
    (peer,) = open_peers([name], 1, NETWORK_PEERS)
    mine = KerasLearner(network, deepcore, "")
    weights = weights_of(mine.model)
    mine.set_weights(weights)
    x, _ = network.data(3)
    expected = mine.fetch(mine.predict(x))
    learners = peer.learners(network, False)
    assert len(learners) == (2 if name == "torch" and network is not SMALL else 1)
    for learner in learners:
        learner.set_weights(weights)
        np.testing.assert_allclose(learner.fetch(learner.predict(learner.load(x))), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
@pytest.mark.parametrize("name", BOTH)
def test_a_network_learns_alike(name, optimizer):
    (peer,) = open_peers([name], 1, NETWORK_PEERS)
    network = Network("n", "", FLAT.input_shape, FLAT.layers, Optimizer(optimizer, 1e-2, 0.9 * (optimizer == "sgd")))
    ours, *theirs = train.measure(network, 8, 2, [peer], QUICK)
    assert ours.correct
    assert [row.correct for row in theirs] == [True], theirs
    if name == "torch":
        ways = theirs[0].why.removeprefix("fastest of ").split(", ")
        loops = ["", " foreach", " fused"][: 2 if optimizer == "rmsprop" else 3]
        assert ways == [f"{layout}{loop}" for layout in ("channels_last", "contiguous") for loop in loops]


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("name", BOTH)
def test_inference_beside_deepcore(name):
    (peer,) = open_peers([name], 1, NETWORK_PEERS)
    ours, theirs = predict.measure(NETWORKS["lenet5"], 2, [peer], QUICK)
    assert (ours.correct, theirs.correct) == (True, True)
    assert theirs.ratio_p50 > 0


@needs("torch")
def test_memory_beside_deepcore():
    ours, theirs = memory.measure(NETWORKS["lenet5"], 2, ["torch"], 1)
    assert (ours.peer, theirs.peer) == ("", "torch")
    assert theirs.ratio_p50 == theirs.peak_bytes / ours.peak_bytes
    assert theirs.settings["THP_MEM_ALLOC_ENABLE"]
    assert theirs.why.startswith("least of torch")

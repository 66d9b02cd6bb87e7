"""Whole networks: the published ones, trained and asked by every library alike, judged before they are timed."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from benchmark_examples import EVERY_KIND, QUICK, SMALL

import deepcore
from deepcore.benchmarks import memory, predict, race, train
from deepcore.benchmarks.learner import KerasLearner
from deepcore.benchmarks.network import (
    NETWORKS,
    PREDICTED,
    TRAINED,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Network,
    Optimizer,
    build,
    find_networks,
    weights_of,
)
from deepcore.benchmarks.network_table import print_report
from deepcore.benchmarks.peer import Peer
from deepcore.benchmarks.row import Row
from deepcore.benchmarks.suite import SUITES
from deepcore.benchmarks.suite import Conv as SuiteConv


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("mlp", 407_050),
        ("lenet5", 61_706),
        ("mnist_cnn", 1_199_882),
        ("resnet50", 25_557_032 + 2 * 26_560),  # with the statistics of batch normalisation
        ("mobilenet", 4_253_864),
    ],
)
def test_networks_have_the_published_number_of_weights(name, parameters):
    assert build(NETWORKS[name], deepcore).count_params() == parameters


def test_vgg16_is_that_of_the_suite():
    mine = [node.filters for node in NETWORKS["vgg16"].layers if isinstance(node, Conv)]
    layers = [layer for layer in SUITES["vgg16"].layers if isinstance(layer, SuiteConv)]
    assert mine == [layer.filters for layer in layers for _ in range(layer.count)]
    assert [node.units for node in NETWORKS["vgg16"].layers if isinstance(node, Dense)] == [4096, 4096, 1000]


def test_names_of_networks():
    assert [one.name for one in find_networks([], TRAINED)] == ["mlp", "lenet5", "mnist_cnn"]
    assert [one.name for one in find_networks([], PREDICTED)] == ["vgg16", "resnet50", "mobilenet"]
    assert [one.name for one in find_networks(["resnet50", "mlp", "mlp"], TRAINED)] == ["resnet50", "mlp"]
    with pytest.raises(ValueError, match=r"Unknown network 'resnet'\. Did you mean 'resnet50'"):
        find_networks(["resnet"], TRAINED)


def test_data_are_the_same_for_the_same_seed():
    x, y = EVERY_KIND.data(5)
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((5, 12, 12, 2), np.float32, (5,), np.int32)
    assert set(y) <= {0, 1, 2}
    np.testing.assert_array_equal(EVERY_KIND.data(5)[0], x)
    assert not np.array_equal(EVERY_KIND.data(5, seed=1)[0], x)


def test_the_gate_drops_nothing_out():
    plain = EVERY_KIND.for_the_gate()
    assert [type(node) for node in plain.layers] == [type(n) for n in EVERY_KIND.layers if not isinstance(n, Dropout)]
    assert plain.optimizer == Optimizer("rmsprop", epsilon=1e-14)


def test_weights_travel_by_name_and_precision_does_not_matter():
    exact = KerasLearner(EVERY_KIND, deepcore, "", "float64")
    mine = KerasLearner(EVERY_KIND, deepcore, "")
    weights = weights_of(exact.model)
    exact.set_weights(weights)
    x, _ = EVERY_KIND.data(4)
    before = mine.fetch(mine.predict(x))
    mine.set_weights(weights)
    after, expected = mine.fetch(mine.predict(x)), exact.fetch(exact.predict(x.astype(np.float64)))
    assert (after.dtype, expected.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(after, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(before - expected).max() > 0.01


# --- races -----------------------------------------------------------------------------------------------------------


def entry(name, seconds, peer=None, error=1e-6, log=None):
    def turn():
        if log is not None:
            log.append(name)
        return seconds

    def judge():
        if isinstance(error, Exception):
            raise error
        return race.judgement(error)

    return race.Entry(name, peer, judge, turn, turn)


CONTEST = race.Race("train", "fit", SMALL, 8, "call")
OTHER, THIRD = Peer("other", "9.1", 2, settings={"huge": "yes"}), Peer("third", "3", 2)


def test_of_each_library_the_fastest_goes_on():
    rows = race.run(
        CONTEST,
        [
            entry("fit", 2.0),
            entry("slow", 9.0, OTHER),
            entry("fast", 3.0, OTHER),
            entry("wrong", 0.1, OTHER, error=0.5),
            entry("", 1.0, THIRD),
        ],
        QUICK,
    )
    assert [one.implementation for one in rows] == [
        f"deepcore {deepcore.__version__} fit",
        "other 9.1 fast",
        "third 3",
        "other 9.1 wrong",
    ]
    assert [(one.p50, one.ratio_p50) for one in rows] == [(2.0, None), (3.0, 1.5), (1.0, 0.5), (None, None)]
    assert [one.why for one in rows] == ["", "fastest of slow, fast", "", ""]
    assert [one.correct for one in rows] == [True, True, True, False]
    assert rows[3].message == "differs by 0.5, which exceeds the bound 0.001"
    assert (rows[1].peer, rows[1].threads, rows[1].settings) == ("other", 2, {"huge": "yes"})
    assert rows[1].versions["other"] == "9.1"
    assert (rows[0].suite, rows[0].layer, rows[0].op, rows[0].batch, rows[0].shape) == (
        "train",
        "small",
        "fit",
        8,
        "8x6",
    )
    assert [Row.from_json(one.to_json()) for one in rows] == rows


def test_turns_alternate():
    log = []
    race.run(CONTEST, [entry("fit", 2.0, log=log), entry("other", 3.0, OTHER, log=log)], QUICK)
    assert log == ["fit", "other"] * (1 + QUICK.repeats)  # one to warm up


def test_without_a_right_deepcore_there_is_no_ratio():
    wrong = entry("fit", 2.0, error=ZeroDivisionError("no units"))
    other, mine = race.run(CONTEST, [wrong, entry("", 3.0, OTHER)], QUICK)
    assert (other.p50, other.ratio_p50) == (3.0, None)
    assert (mine.correct, mine.error, mine.message) == (False, None, "raised ZeroDivisionError: no units")


def report(rows, planned=9, interrupted=False):
    out = io.StringIO()
    print_report(out, rows, interrupted, planned)
    return out.getvalue()


def test_the_table_of_steps():
    rows = race.run(
        CONTEST, [entry("fit", 0.002), entry("fast", 0.005, OTHER), entry("", 1.0, THIRD, error=math.nan)], QUICK
    )
    shown = report(rows, interrupted=True)
    assert "Training: a whole step (forward, loss, backward, optimizer)" in shown
    (ours,) = [line for line in shown.splitlines() if "fit" in line and "small" in line]
    (theirs,) = [line for line in shown.splitlines() if "other 9.1 fast" in line]
    (wrong,) = [line for line in shown.splitlines() if line.startswith("small") and "third" in line]
    assert ours.split()[:8] == ["small", "8", "deepcore", deepcore.__version__, "fit", "2", "ms", "2–2"]
    assert "4,000" in ours
    assert "2.50" in theirs
    assert "2.50–2.50" in theirs
    assert "WRONG" in wrong
    assert "1 of 3 rows are WRONG" in shown
    assert "Interrupted: 3 of 9 rows were measured and kept." in shown
    assert "other 9.1 on 2 threads; huge=yes." in shown
    assert "ratio" not in report(rows[:1])


# --- measured --------------------------------------------------------------------------------------------------------


def also_deepcore(**changes):
    """deepcore by another name, as a library of one way to do it, perhaps with a mistake."""

    def learners(one, training):
        given = changes if one.optimizer.epsilon < 1e-10 else {}  # in the gate alone
        return [KerasLearner(replace(one, **given), deepcore, "by another name")]

    return Peer("other", "9.1", 1, None, learners)


def test_training_is_judged_by_its_losses():
    rows = train.measure(SMALL, 8, 2, [also_deepcore()], QUICK)
    assert [one.correct for one in rows] == [True, True]
    assert [one.op for one in rows] == ["fit", "fit"]
    assert all(one.error < 1e-5 and one.repeats == QUICK.repeats and one.p50 > 0 for one in rows)
    assert rows[1].ratio_p20 <= rows[1].ratio_p50 <= rows[1].ratio_p80


def test_a_library_that_learns_otherwise_is_wrong():
    ours, other = train.measure(SMALL, 8, 2, [also_deepcore(optimizer=Optimizer("sgd", 1e-2))], QUICK)
    assert ours.correct
    assert not other.correct
    assert other.p50 is None
    assert "exceeds the bound" in other.message


def test_inference_is_judged_by_its_logits():
    ours, other = predict.measure(EVERY_KIND, 3, [also_deepcore()], QUICK, "cpu")
    assert ours.correct
    assert other.correct
    assert (ours.op, ours.direction, ours.clock, ours.batch) == ("predict", "fprop", "cpu", 3)
    assert "Inference: a whole network, processor time" in report([ours, other])


def test_a_library_that_answers_otherwise_is_wrong():
    class Careless(KerasLearner):
        def fetch(self, logits):
            return super().fetch(logits) * np.float32(1.01)

    peer = Peer("other", "9.1", 1, None, lambda one, training: [Careless(one, deepcore, "")])
    ours, other = predict.measure(SMALL, 2, [peer], QUICK)
    assert (ours.correct, other.correct, other.p50) == (True, False, None)


def test_a_flattened_image_comes_to_a_dense_layer_row_by_row():
    flat = Network("flat", "", (4, 4, 2), (Conv(3, 3), Flatten(), Dense(3)), Optimizer("sgd"))
    assert [type(layer).__name__ for layer in build(flat, deepcore).layers] == ["Conv2D", "Flatten", "Dense"]


def test_peak_memory_is_that_of_a_process():
    (row,) = memory.measure(NETWORKS["mlp"], 2, [], 1)
    assert row.correct
    assert row.peak_bytes >= row.bytes > 50_000_000  # Python, NumPy, and two copies of the weights
    assert (row.p50, row.ratio_p50, row.peer) == (None, None, "")
    assert row.implementation == f"deepcore {deepcore.__version__} train_on_batch"
    shown = report([row])
    assert "Peak memory of a training step" in shown
    assert "MiB" in shown


def test_a_process_that_fails_says_why():
    with pytest.raises(ChildProcessError, match=r"^deepcore on mlp, batch 2: ValueError: 4096 threads were asked for"):
        memory.measure(NETWORKS["mlp"], 2, [], 4096)

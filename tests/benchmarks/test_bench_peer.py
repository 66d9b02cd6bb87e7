"""Other libraries: which are asked for, how they are judged and timed beside deepcore, what their rows say."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from benchmark_examples import peer_row, row

from deepcore.backend import numpy_backend
from deepcore.benchmarks.case import cases_of
from deepcore.benchmarks.clock import FEWEST_ROUNDS, Copies, copies_for, ratios
from deepcore.benchmarks.device import Device, open_device
from deepcore.benchmarks.peer import PEERS, Known, Peer, Variant, asked_for, open_peers, set_environment
from deepcore.benchmarks.row import Row
from deepcore.benchmarks.run import Setting, compare, measure, plan
from deepcore.benchmarks.suite import LENET
from deepcore.errors import UnsupportedCallError

QUICK = Setting(repeats=3, seconds=0.0, cold=False)
KNOWN = {
    "here": Known("numpy", "pip install here", lambda threads: Peer("here", "1", threads)),
    "there": Known("numpy", "pip install there", lambda threads: Peer("there", "2", threads)),
    "absent": Known("no_such_package", "pip install absent", lambda threads: Peer("absent", "3", threads)),
    "gone": Known("no_such_package_either", "pip install gone", lambda threads: Peer("gone", "4", threads)),
}


def case(name="fc3", direction="fprop", batch=2):
    (layer,) = [layer for layer in LENET.layers if layer.name == name]
    (one,) = cases_of(LENET, layer, [direction], batch)
    return one


def variant(name="plain", spoil=lambda y: y, log=None):
    """NumPy as another library, whose arrays are lists of one array each, and whose result is in a dictionary."""

    def prepare(arrays):
        return [[array.copy()] for array in arrays]

    def run(arguments):
        if log is not None:
            log.append(name)
        (a,), (b,) = arguments
        return {"y": spoil(a @ b)}

    return Variant(name, "row-major", prepare, run, lambda result: result["y"])


def other(*variants, threads=1):
    return Peer("other", "9.1", threads, lambda case: list(variants), settings={"threads": str(threads), "huge": "yes"})


# --- which -----------------------------------------------------------------------------------------------------------


def test_names_may_be_repeated_or_have_commas_between():
    assert asked_for([], KNOWN) == []
    assert asked_for(["here"], KNOWN) == ["here"]
    assert asked_for(["there, here", "there"], KNOWN) == ["there", "here"]
    assert asked_for(["here,", "there"], KNOWN) == ["here", "there"]


def test_all_is_what_is_installed():
    assert asked_for(["all"], KNOWN) == ["here", "there"]
    assert asked_for(["there", "all"], KNOWN) == ["here", "there"]
    with pytest.raises(ValueError, match=r"^absent is not installed\. Install with: pip install absent\.$"):
        asked_for(["all", "absent"], KNOWN)


def test_what_is_not_installed_is_named_with_the_line_that_installs_it():
    with pytest.raises(ValueError, match=r"^absent is not installed\. Install with: pip install absent\.$"):
        asked_for(["here,absent"], KNOWN)
    with pytest.raises(
        ValueError,
        match=r"^absent and gone are not installed\. Install with: pip install absent; pip install gone\.$",
    ):
        asked_for(["absent", "gone"], KNOWN)
    with pytest.raises(ValueError, match=r"^None of absent, gone is installed\. Install with: pip install absent; pip"):
        asked_for(["all"], {name: KNOWN[name] for name in ("absent", "gone")})


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(ValueError, match=r"Unknown peer 'torhc'\. Did you mean 'torch'"):
        asked_for(["torhc"], PEERS)


def test_peers_are_opened_with_the_threads_of_deepcore():
    assert [(peer.title, peer.threads) for peer in open_peers(["there,here"], 3, KNOWN)] == [
        ("there 2", 3),
        ("here 1", 3),
    ]


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setenv("DEEPCORE_TEST_SET", "mine")
    monkeypatch.delenv("DEEPCORE_TEST_UNSET", raising=False)
    found = set_environment({"DEEPCORE_TEST_SET": "1", "DEEPCORE_TEST_UNSET": "2"})
    assert found == {"DEEPCORE_TEST_SET": "mine", "DEEPCORE_TEST_UNSET": "2"}
    monkeypatch.delenv("DEEPCORE_TEST_UNSET")


# --- measured --------------------------------------------------------------------------------------------------------


def test_a_library_is_judged_and_timed_beside_deepcore():
    cpu = open_device("cpu")
    (job,) = plan([case()], cpu, peers=[other(variant("plain"), variant("again"))])
    assert job.count == len(job.candidates) + 2
    ours, *theirs = measure(job, cpu, QUICK)
    assert (ours.peer, ours.settings, ours.ratio_p50) == ("", {}, None)
    assert [one.implementation for one in theirs] == ["other 9.1 plain", "other 9.1 again"]
    for one in theirs:
        assert one.correct
        assert one.error is not None
        assert one.error <= one.bound
        assert one.repeats == ours.repeats == 3
        assert 0 < one.p20 <= one.p50 <= one.p80
        assert one.ratio_p20 <= one.ratio_p50 <= one.ratio_p80
        assert (one.peer, one.threads, one.blas_threads, one.blas) == ("other", 1, 1, "")
        assert one.versions["other"] == "9.1"
        assert one.settings == {"threads": "1", "huge": "yes"}
    assert sorted(one.chosen for one in theirs) == [False, True]
    assert min(theirs, key=lambda one: one.p50).chosen


def test_a_wrong_library_has_no_speed_and_no_ratio():
    def wrong(y):
        return y * np.float32(1.001)

    def broken(y):
        raise IndexError("tile 3 of 2")

    log = []
    cpu = open_device("cpu")
    peer = other(variant("right"), variant("wrong", wrong, log), variant("broken", broken, log))
    (job,) = plan([case()], cpu, peers=[peer])
    _, right, wrong_row, broken_row = measure(job, cpu, QUICK)
    assert right.correct
    assert right.chosen
    assert right.ratio_p50 is not None
    for one in (wrong_row, broken_row):
        assert not one.correct
        assert not one.chosen
        assert (one.p50, one.ratio_p20, one.ratio_p50, one.ratio_p80, one.repeats) == (None, None, None, None, 0)
    assert "exceeds the bound" in wrong_row.message
    assert broken_row.message == "raised IndexError: tile 3 of 2"
    assert log == ["wrong", "broken"]  # once each, for the gate


def test_turns_alternate_and_each_wakes_up_first():
    log = []

    class Logged(Device):
        def seconds(self, clock, call, rotation):
            log.append("other" if isinstance(rotation, Copies) else "deepcore")
            return super().seconds(clock, call, rotation)

    (job,) = plan([case()], Logged(), peers=[other(variant())])
    measure(job, Logged(), QUICK)
    turns = [(name, len(list(calls))) for name, calls in itertools.groupby(log)]
    assert [name for name, _ in turns] == ["deepcore", "other"] * (1 + FEWEST_ROUNDS)
    assert min(calls for _, calls in turns) >= 2


def test_a_long_call_is_not_made_twice():
    log = []

    class Slow(Device):
        def seconds(self, clock, call, rotation):
            log.append("other" if isinstance(rotation, Copies) else "deepcore")
            return 0.5

    (job,) = plan([case()], Slow(), peers=[other(variant())])
    _, theirs = measure(job, Slow(), QUICK)
    assert log == ["deepcore", "deepcore", "other", "other"] + ["deepcore", "other"] * FEWEST_ROUNDS
    assert (theirs.ratio_p20, theirs.ratio_p50, theirs.ratio_p80) == (1.0, 1.0, 1.0)


def test_what_a_library_cannot_do_is_left_out_with_its_reason():
    def refuses(case):
        raise UnsupportedCallError("no such padding")

    cpu = open_device("cpu")
    (job,) = plan([case()], cpu, peers=[Peer("other", "9.1", 1, refuses)])
    assert [(peer.title, why) for peer, why in job.refused] == [("other 9.1", "no such padding")]
    assert job.count == len(job.candidates)
    assert {one.peer for one in measure(job, cpu, QUICK)} == {""}


def test_other_libraries_are_for_the_cpu():
    class Elsewhere(Device):
        name = kind = "cuda"

    with pytest.raises(ValueError, match=r"^Other libraries are measured on the CPU alone; leave out --against"):
        plan([case()], Elsewhere(), peers=[other(variant())])


def test_processor_time_is_a_clock_of_the_cpu():
    cpu = open_device("cpu", "cpu")
    (job,) = plan([case()], cpu, peers=[other(variant())])
    assert {one.clock for one in measure(job, cpu, QUICK)} == {"cpu"}
    with pytest.raises(ValueError, match=r"Unknown clock 'cpy'\. Did you mean 'cpu'"):
        open_device("cpu", "cpy")
    with pytest.raises(ValueError, match="--clock is for the CPU"):
        open_device("cuda", "cpu")


def test_cold_arguments_are_as_many_as_leave_the_cache():
    made = []

    def make():
        made.append(len(made))
        return [made[-1]]

    copies = Copies(make, copies_for(100, 250))
    assert [copies.take() for _ in range(6)] == [[0], [1], [2], [3], [0], [1]]
    assert copies_for(100, 0) == 1


# --- ratios ----------------------------------------------------------------------------------------------------------


def test_ratios_are_of_pairs_and_not_of_medians():
    theirs, ours = [2.0, 30.0, 4.0], [1.0, 10.0, 4.0]  # the machine was ten times slower in the second round
    assert ratios(theirs, ours) == pytest.approx((1.4, 2.0, 2.6))


def test_of_the_layouts_the_fastest_counts_and_deepcores_choice_is_the_base():
    rows = [
        row(p50=0.001, implementation="numba", chosen=False),
        row(p50=0.002, chosen=True),
        peer_row(2.0, chosen=False, implementation="a"),
        peer_row(1.5, chosen=False, implementation="b"),
        peer_row(3.0, name="third", chosen=False),
    ]
    samples = [[1.0] * 3, [2.0] * 3, [4.0] * 3, [3.0] * 3, [6.0, 6.0, 8.0]]
    found = compare([dataclasses.replace(one, ratio_p50=None) for one in rows], samples)
    assert [one.chosen for one in found] == [False, True, False, True, True]
    assert [one.ratio_p50 for one in found] == [None, None, 2.0, 1.5, 3.0]
    assert found[4].ratio_p80 == pytest.approx(3.6)


def test_without_dispatchs_choice_the_fastest_is_the_base_and_without_any_there_is_no_ratio():
    two = [row(p50=0.004, chosen=False), row(p50=0.002, chosen=False), peer_row(2.0, chosen=False)]
    samples = [[4.0], [2.0], [3.0]]
    assert compare(two, samples)[2].ratio_p50 == 1.5
    wrong = [dataclasses.replace(one, correct=False, p50=None) for one in two[:2]]
    fresh = dataclasses.replace(two[2], ratio_p20=None, ratio_p50=None, ratio_p80=None)
    found = compare([*wrong, fresh], [[], [], [3.0]])[2]
    assert found.chosen
    assert found.ratio_p50 is None


def test_rows_from_before_there_were_peers_can_be_read():
    old = json.loads(row().to_json())
    for name in ("peer", "settings", "ratio_p20", "ratio_p50", "ratio_p80", "peak_bytes"):
        del old[name]
    assert Row.from_json(json.dumps(old)) == row()
    assert Row.from_json(peer_row().to_json()) == peer_row()
    del old["batch"]
    with pytest.raises(ValueError, match=r"Not a benchmark row: batch missing\."):
        Row.from_json(json.dumps(old))


def test_the_gradient_of_max_pooling_gets_the_maxima_of_an_input_that_a_library_can_have():
    (layer,) = [Pool for Pool in LENET.layers if Pool.name == "pool1"]
    (one,) = cases_of(LENET, dataclasses.replace(layer, op="max_pool2d"), ["dgrad"], 2)
    _, argmax = one.arrays()
    _, found = numpy_backend().max_pool2d_fprop(one.pooled(), one.geometry)
    np.testing.assert_array_equal(found, argmax)

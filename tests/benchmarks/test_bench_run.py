"""Gate before clock: what is wrong has no speed, and what is right is measured as it was asked."""

import numpy as np
import pytest
from benchmark_examples import QUICK, TINY

from deepcore.backend.dispatch import forced, use_precision
from deepcore.benchmarks.case import cases_of
from deepcore.benchmarks.clock import FEWEST_ROUNDS
from deepcore.benchmarks.device import Device, open_device
from deepcore.benchmarks.run import Setting, measure, plan


@pytest.fixture
def cpu():
    return open_device("cpu")


def case(layer, direction, dtype="float32"):
    (found,) = [layer_ for layer_ in TINY.layers if layer_.name == layer]
    (one,) = cases_of(TINY, found, [direction], dtype=dtype)
    return one


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", TINY.layers, ids=lambda layer: layer.name)
def test_every_implementation_is_right_in_every_direction(layer, dtype, cpu):
    cases = cases_of(TINY, layer, dtype=dtype)
    assert [one.direction for one in cases] == list(layer.directions)
    for job in plan(cases, cpu, every=True):
        rows = measure(job, cpu, QUICK)
        assert [row.implementation for row in rows] == [c.implementation.name for c in job.candidates]
        assert sum(row.chosen for row in rows) == 1
        for row in rows:
            assert row.correct, (row.op, row.implementation, row.message)
            assert row.error is not None
            assert row.error <= row.bound
            assert row.repeats == 2
            assert 0 < row.p20 <= row.p50 <= row.p80
            assert row.gbytes == pytest.approx(row.bytes / row.p50 / 1e9)


OFF_BY_LITTLE = [
    ("conv", "fprop", lambda y: y * np.float32(1.001)),
    ("conv", "dgrad", lambda y: y + np.float32(1e-3)),
    ("conv", "wgrad", lambda y: np.roll(y, 1, axis=3)),
    ("max", "fprop", lambda y: (y[0], np.minimum(y[1] + 1, 8).astype(y[1].dtype))),
    ("max", "fprop", lambda y: (np.maximum(y[0], 0), y[1])),
    ("max", "fprop", lambda y: y[0]),
    ("mean", "dgrad", lambda y: y * np.float32(1.0001)),
    ("dense", "wgrad", lambda y: y[:-1]),
    ("dense", "fprop", lambda y: y.astype(np.float64)),
    ("dense", "dgrad", lambda y: np.full_like(y, np.nan)),
]


@pytest.mark.parametrize(("layer", "direction", "spoil"), OFF_BY_LITTLE)
def test_a_wrong_implementation_has_no_speed(layer, direction, spoil, cpu, plant, genuine):
    one = case(layer, direction)
    right = genuine(one.op)
    calls = []

    def wrong(*arguments):
        calls.append(arguments)
        return spoil(right(*arguments))

    plant(one.op, "planted", wrong)
    (job,) = plan([one], cpu)
    (row,) = measure(job, cpu, QUICK)
    assert row.implementation == "planted"
    assert not row.correct
    assert row.message
    assert (row.p20, row.p50, row.p80, row.gflops, row.gbytes) == (None,) * 5
    assert row.repeats == 0
    assert len(calls) == 1


def test_an_implementation_that_raises_is_wrong_and_says_why(cpu, plant):
    def broken(*arguments):
        raise IndexError("tile 3 of 2")

    plant("matmul", "planted", broken)
    (job,) = plan([case("dense", "fprop")], cpu)
    (row,) = measure(job, cpu, QUICK)
    assert not row.correct
    assert row.error is None
    assert row.message == "raised IndexError: tile 3 of 2"


def test_an_implementation_that_spoils_its_input_is_wrong(cpu, plant, genuine):
    right = genuine("matmul")

    def careless(a, *others):
        result = right(a, *others)
        a[...] = 0
        return result

    plant("matmul", "planted", careless)
    (job,) = plan([case("dense", "fprop")], cpu)
    (row,) = measure(job, cpu, QUICK)
    assert (row.correct, row.message) == (False, "changed its input")


def test_less_precise_products_are_recorded_and_judged_as_what_they_are(cpu, plant, genuine):
    right = genuine("matmul")

    def rounded(array):
        return (array.view(np.uint32) + np.uint32(0x1000) & np.uint32(0xFFFFE000)).view(np.float32)

    def allowed(call):
        return call.precision != "float32", f"precision is {call.precision}"

    def tf32(a, b, *others):
        return right(rounded(a), rounded(b), *others)

    plant("matmul", "planted-tf32", tf32, supports=allowed, precision="tf32")
    plant("matmul", "planted-boaster", tf32, supports=allowed, cost=1.0)
    one = case("dense", "fprop")
    (job,) = plan([one], cpu)
    assert [row.precision for row in measure(job, cpu, QUICK)] == ["float32"]
    with use_precision("tf32"):
        (job,) = plan([one], cpu, ["planted-tf32", "planted-boaster"])
        rows = {row.implementation: row for row in measure(job, cpu, QUICK)}
    assert {name: (row.precision, row.correct) for name, row in rows.items()} == {
        "planted-tf32": ("tf32", True),
        "planted-boaster": ("float32", False),
    }
    assert rows["planted-tf32"].error > rows["planted-boaster"].bound


def test_a_wrong_one_does_not_hide_the_right_ones(cpu, plant):
    plant("matmul", "planted", lambda a, b, *others: np.zeros((2, 12), np.float32))
    (job,) = plan([case("dense", "fprop")], cpu, every=True)
    verdicts = {row.implementation: row.correct for row in measure(job, cpu, QUICK)}
    assert verdicts.pop("planted") is False
    assert verdicts
    assert all(verdicts.values())


def test_plan_takes_what_dispatch_chooses_and_explains_the_rest(cpu, plant):
    plant("matmul", "absent", print, available=lambda: (False, "no such machine"))
    (chosen,) = plan([case("dense", "fprop")], cpu)
    assert [candidate.chosen for candidate in chosen.candidates] == [True]
    (every,) = plan([case("dense", "fprop")], cpu, every=True)
    assert [(c.implementation.name, c.why) for c in every.left_out] == [("absent", "no such machine")]
    (named,) = plan([case("conv", "fprop")], cpu, names=["numpy"])
    assert [candidate.implementation.name for candidate in named.candidates] == ["numpy"]
    with pytest.raises(ValueError, match=r"Unknown implementation 'nunpy'\. Did you mean 'numpy'"):
        plan([case("conv", "fprop")], cpu, names=["nunpy"])


def test_cold_calls_get_fresh_copies_and_warm_calls_the_same(cpu, plant, genuine):
    right = genuine("matmul")
    addresses = []

    def note(a, *others):
        addresses.append(a.ctypes.data)
        return right(a, *others)

    plant("matmul", "planted", note)
    (job,) = plan([case("dense", "fprop")], cpu)
    for cold, distinct in ((True, 1 + FEWEST_ROUNDS), (False, 1)):
        addresses.clear()
        (row,) = measure(job, cpu, Setting(repeats=50, seconds=0.0, cold=cold))
        assert row.cache == ("cold" if cold else "warm")
        assert row.repeats == FEWEST_ROUNDS
        assert len(set(addresses[1:])) == distinct  # the first address is the gate's own copy


def test_what_dispatch_chooses_is_timed_as_a_layer_calls_it(cpu, plant, genuine):
    """To hold dispatch to a name takes as long as a small call, and leaves little in the caches for it."""
    right = genuine("matmul")
    held: dict[str, set] = {"planted": set(), "dearer": set()}

    def note(name):
        def run(*arguments):
            held[name].add(forced("matmul"))
            return right(*arguments)

        return run

    plant("matmul", "planted", note("planted"))
    plant("matmul", "dearer", note("dearer"), cost=1.0)
    (job,) = plan([case("dense", "fprop")], cpu, every=True)
    rows = measure(job, cpu, Setting(repeats=3, seconds=0.0))
    assert {row.implementation: row.chosen for row in rows}.items() >= {"planted": True, "dearer": False}.items()
    assert held["dearer"] == {"dearer"}
    assert None in held["planted"]


class Remote(Device):
    """A device with memory of its own and two clocks; it keeps count of what crosses."""

    name = "remote"
    clocks = ("kernel", "transfers")

    def __init__(self):
        super().__init__()
        self.sent = self.waited = 0

    def to_device(self, array):
        self.sent += 1
        return array.copy()

    def synchronize(self):
        self.waited += 1

    def seconds(self, clock, call, rotation):
        return super().seconds(clock, call, rotation) + (1.0 if clock == "transfers" else 0.0)

    def transfer_bytes(self, clock, inputs, outputs):
        return sum(array.nbytes for array in (*inputs, *outputs)) if clock == "transfers" else 0


def test_a_device_brings_its_own_clocks_and_transfers():
    remote = Remote()
    one = case("dense", "fprop")
    (job,) = plan([one], remote)
    kernel, transfers = measure(job, remote, QUICK)
    assert (kernel.clock, transfers.clock) == ("kernel", "transfers")
    assert (kernel.device, kernel.transfer_bytes, transfers.transfer_bytes) == ("remote", 0, one.bytes)
    assert kernel.p50 < 1.0 < transfers.p50
    assert remote.sent == 3  # both operands for the gate, then the rotation's one buffer
    assert remote.waited == 1 + 2 * 2 * (1 + QUICK.repeats)  # the gate; around each call, on each clock


def test_rates_count_the_least_work():
    conv = case("conv", "wgrad")
    assert conv.bytes == 4 * (2 * 7 * 6 * 4 + 3 * 3 * 4 * 6 + 2 * 4 * 3 * 6)
    assert conv.flops == 2 * (2 * 4 * 3 * 6) * (3 * 3 * 4)
    pool = case("max", "fprop")
    assert pool.bytes == 4 * 2 * 7 * 7 * 3 + (4 + 1) * 2 * 4 * 4 * 3
    assert pool.flops == 0
    assert case("dense", "dgrad", "float64").bytes == 8 * (2 * 12 + 20 * 12 + 2 * 20)


def test_shapes_read_as_they_are_written():
    assert case("conv", "dgrad").shape == "2x7x6x4 * 3x3x4x6 /2"
    assert case("grouped", "fprop").shape == "2x5x5x4 * 3x3x2x6 groups 2"
    assert case("depthwise", "fprop").shape == "2x6x6x5 * 3x3x1x5 depthwise"
    assert case("max", "fprop").shape == "2x7x7x3 pool 3 /2"
    assert case("dense", "wgrad").shape == "2x20ᵀ @ 2x12"


def test_an_unknown_device_names_those_there_are():
    with pytest.raises(ValueError, match="Unknown benchmark device 'gpu'"):
        open_device("gpu")

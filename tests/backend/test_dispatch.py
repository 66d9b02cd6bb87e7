"""The choice among implementations, on a machine that has none of them."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from deepcore.backend import dispatch
from deepcore.backend.dispatch import (
    Call,
    choose,
    choose_for,
    get_precision,
    get_winograd,
    implementation,
    implementations,
    judge,
    operations,
    set_precision,
    set_winograd,
    use_implementation,
    use_precision,
    use_winograd,
)
from deepcore.backend.geometry import Conv2DGeometry, FlatGeometry
from deepcore.errors import UnsupportedCallError

SMALL, LARGE = FlatGeometry(10), FlatGeometry(10_000)


@pytest.fixture(autouse=True)
def planted():
    """An operation with two CPU implementations, a GPU one, and one that this machine lacks."""

    def only_large(call):
        large = call.geometry.size >= 100
        return large, f"{call.geometry.size} elements" + ("" if large else ", fewer than 100")

    @implementation("planted_fprop", "simple", cost=lambda call: 1e-6 * call.geometry.size)
    def simple():
        return "simple"

    @implementation("planted_fprop", "fast", supports=only_large, cost=lambda call: 1e-3)
    def fast():
        return "fast"

    @implementation("planted_fprop", "gpu", device="cuda", cost=lambda call: 1e-9)
    def gpu():
        return "gpu"

    @implementation("planted_fprop", "absent", cost=lambda call: 0.0, available=lambda: (False, "pip install absent"))
    def absent():
        return "absent"

    @implementation("planted_dgrad", "simple", cost=lambda call: 1.0)
    def gradient():
        return "gradient"

    yield
    for op in ("planted_fprop", "planted_dgrad"):
        dispatch._implementations.pop(op)
    dispatch._families.pop("planted")
    dispatch._choices.clear()


def test_the_cheapest_that_supports_the_call():
    assert choose("planted_fprop", "float32", SMALL).name == "simple"
    assert choose("planted_fprop", "float32", LARGE).function() == "fast"
    assert choose("planted_fprop", np.dtype("float32"), LARGE, device="cuda").name == "gpu"


def test_a_choice_by_sizes_is_that_of_their_geometry():
    made = []

    def of(size):
        made.append(size)
        return FlatGeometry(size)

    for _ in range(2):
        assert choose_for("planted_fprop", "float32", of, 10).name == "simple"
        assert choose_for("planted_fprop", "float32", of, 10_000).name == "fast"
    assert made == [10, 10_000]
    with use_implementation("planted", "simple"):
        assert choose_for("planted_fprop", "float32", of, 10_000).name == "simple"
    assert choose_for("planted_fprop", "float32", of, 10_000).name == "fast"


def test_no_more_choices_are_kept_than_a_stream_of_new_sizes_may_take():
    for size in range(100, 12_000):
        choose_for("planted_fprop", "float32", FlatGeometry, size)
        assert len(dispatch._choices) <= 10_001


def test_every_implementation_is_judged_with_its_reason():
    lines = {line.implementation.name: line for line in judge(Call("planted_fprop", "float32", SMALL))}
    assert lines["simple"].chosen
    assert lines["simple"].reason.endswith("cheapest estimate")
    assert lines["fast"].reason == "10 elements, fewer than 100"
    assert lines["fast"].seconds is None
    assert lines["gpu"].reason == "runs on cuda; the arrays are on cpu"
    assert lines["absent"].reason == "pip install absent"
    slower = {line.implementation.name: line for line in judge(Call("planted_fprop", "float32", LARGE))}["simple"]
    assert (slower.ok, slower.chosen, slower.seconds) == (True, False, 1e-2)
    assert slower.reason.endswith("estimated slower")


def test_forcing_holds_in_the_block_and_nests():
    with use_implementation("planted_fprop", "simple"):
        assert choose("planted_fprop", "float32", LARGE).name == "simple"
        with use_implementation("planted_fprop", "fast"):
            assert choose("planted_fprop", "float32", LARGE).name == "fast"
        assert choose("planted_fprop", "float32", LARGE).name == "simple"
    assert choose("planted_fprop", "float32", LARGE).name == "fast"


def test_a_family_forces_the_directions_that_have_it():
    with use_implementation("planted", "fast"):
        assert choose("planted_fprop", "float32", LARGE).name == "fast"
        assert choose("planted_dgrad", "float32", LARGE).name == "simple"
    assert operations("planted") == ("planted_fprop", "planted_dgrad")


def test_nothing_falls_back_when_forced():
    with (
        use_implementation("planted_fprop", "fast"),
        pytest.raises(UnsupportedCallError, match=r"No implementation of planted_fprop.*fast: 10 elements, fewer"),
    ):
        choose("planted_fprop", "float32", SMALL)
    with (
        use_implementation("planted_fprop", "absent"),
        pytest.raises(UnsupportedCallError, match="pip install absent"),
    ):
        choose("planted_fprop", "float32", SMALL)


def test_forcing_is_per_thread():
    seen = []
    with use_implementation("planted_fprop", "simple"):
        thread = threading.Thread(target=lambda: seen.append(choose("planted_fprop", "float32", LARGE).name))
        thread.start()
        thread.join()
    assert seen == ["fast"]


@pytest.mark.parametrize(
    ("op", "name", "words"),
    [
        ("planted_fprop", "fats", "Unknown implementation of planted_fprop 'fats'. Did you mean 'fast'"),
        ("plantde", "fast", "Unknown operation 'plantde'. Did you mean 'planted'"),
    ],
)
def test_unknown_names_offer_the_nearest(op, name, words):
    with pytest.raises(ValueError, match=words), use_implementation(op, name):
        pass


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="already has an implementation named 'fast'"):
        implementation("planted_fprop", "fast", cost=lambda call: 0.0)(lambda: None)


def test_lists():
    assert [record.name for record in implementations("planted_fprop", "cuda")] == ["gpu"]
    assert "planted_fprop" in operations()
    with pytest.raises(ValueError, match="Unknown operation"):
        implementations("planted_wgrad")


def test_memory_of_choices_is_bounded():
    for size in range(10_050):
        choose("planted_dgrad", "float32", FlatGeometry(size))
    assert len(dispatch._choices) < 10_001


def test_precision_is_part_of_the_choice_and_of_its_memory():
    def allows_tf32(call):
        return call.precision != "float32", f"precision {call.precision}"

    @implementation("planted_fprop", "short", supports=allows_tf32, cost=lambda call: 0.0, precision="tf32")
    def short():
        return "short"

    def chosen():
        return choose("planted_fprop", "float32", SMALL).function()

    assert (chosen(), get_precision()) == ("simple", "float32")
    with use_precision("tf32"):
        assert (chosen(), get_precision()) == ("short", "tf32")
        with use_precision("float32"):
            assert chosen() == "simple"
        assert chosen() == "short"
    assert chosen() == "simple"
    assert {record.name: record.precision for record in implementations("planted_fprop")}["short"] == "tf32"


def test_a_precision_that_is_set_holds_in_every_thread_and_a_block_only_in_its_own():
    def elsewhere():
        found = []
        thread = threading.Thread(target=lambda: found.append(get_precision()))
        thread.start()
        thread.join()
        return found[0]

    try:
        set_precision("tf32")
        assert (get_precision(), elsewhere()) == ("tf32", "tf32")
        with use_precision("bfloat16"):
            assert (get_precision(), elsewhere()) == ("bfloat16", "tf32")
    finally:
        set_precision("float32")
    assert (get_precision(), elsewhere()) == ("float32", "float32")


def test_winograd_is_part_of_the_choice(backend):
    g = Conv2DGeometry.of((32, 56, 56, 128), (3, 3, 128, 128), 1, "same")

    def able():
        call = Call("conv2d_fprop", "float32", g, winograd=get_winograd())
        return {record.name for record in implementations("conv2d_fprop", "cpu") if record.supports(call)[0]}

    assert {"winograd-2", "winograd-4", "tiles"} <= able()
    with use_winograd(2):
        assert "winograd-4" not in able()
        with use_winograd(0):
            assert not {"winograd-2", "winograd-4"} & able()
            assert not choose("conv2d_fprop", "float32", g).name.startswith("winograd")
        assert "winograd-2" in able()
    try:
        set_winograd(0)
        assert get_winograd() == 0
    finally:
        set_winograd(4)
    with pytest.raises(ValueError, match="one of \\(0, 2, 4\\); got 3"):
        set_winograd(3)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="Did you mean 'tf32'"):
        set_precision("tf23")
    with pytest.raises(ValueError, match="bfloat16"), use_precision("half"):
        pass
    assert get_precision() == "float32"

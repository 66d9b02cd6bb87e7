"""Kept rows as Markdown: which kind a layer is of, what is below its aim, and what is left out."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from benchmark_examples import row

from deepcore.benchmarks.aims import KINDS, kind_of
from deepcore.benchmarks.comparison import Comparison
from deepcore.benchmarks.picture import draw
from deepcore.benchmarks.suite import SUITES


def peer_row(layer, ratio, direction="fprop", **changes):
    fields = {"implementation": "torch 2.13.0 nchw", "peer": "torch", "settings": {"threads": "1", "mkl": "True"}}
    ratios = {"ratio_p20": ratio - 0.1, "ratio_p50": ratio, "ratio_p80": ratio + 0.1}
    return row(layer, direction, **(fields | ratios | {"threads": 1, "commit": "abc"} | changes))


def lines_of(rows):
    return Comparison.of(rows, "torch").markdown().splitlines()


@pytest.mark.parametrize(
    ("suite", "layer", "title"),
    [
        ("lenet", "conv2", "LeNet's convolutions"),
        ("vgg16", "conv4_2", "3x3 of stride 1, 28² and larger"),
        ("vgg16", "conv5_1", "3x3 of stride 1, 14² and 7²"),
        ("resnet50", "conv4_3x3", "3x3 of stride 1, 14² and 7²"),
        ("resnet50", "conv3_1_3x3", "1x1, strided, 7x7, 5x5, 11x11"),
        ("alexnet", "conv2", "1x1, strided, 7x7, 5x5, 11x11"),
        ("mobilenet", "dw2", "depthwise"),
        ("pooling", "max3_6", "max pooling"),
        ("pooling", "avg3_6", "average pooling"),
    ],
)
def test_the_kind_of_a_layer(suite, layer, title):
    (found,) = [each for each in SUITES[suite].layers if each.name == layer]
    kind = kind_of(suite, found)
    assert kind is not None
    assert kind.title == title


def test_every_kind_has_layers():
    layers = [(suite.name, layer) for suite in SUITES.values() for layer in suite.layers]
    assert {kind_of(*each) for each in layers} == {*KINDS, None}


def test_what_is_below_its_aim_is_marked():
    lines = lines_of(
        [
            peer_row("conv1", 2.0),
            peer_row("conv2", 0.5, shape="32x14x14x6 * 5x5x6x16"),
            peer_row("conv1", 1.3, threads=2),
            peer_row("conv1", 0.8, direction="dgrad", clock="cpu"),
        ]
    )
    assert lines[0] == (
        "| geometric mean (worst) | batch | aim | fprop, 1 thread | dgrad, 1 thread | fprop, 1 thread, cpu clock "
        "| dgrad, 1 thread, cpu clock | fprop, 2 threads | dgrad, 2 threads |"
    )
    assert lines[2] == "| LeNet's convolutions | 32 | 1.2 | 1.00 ▾ (0.50) |  |  | 0.80 ▾ (0.80) | 1.30 (1.30) |  |"
    assert "Below 0.9 on 1 thread: 1 of 2 rows." in lines
    assert "Below 0.9 on 2 threads: 0 of 1 rows." in lines
    assert "| lenet conv1 | 32x28x28x1 · 5x5x1x6 | 1.2 | 2.00 / 1.30 | 0.80 ▾ |  |" in lines
    assert "| lenet conv2 | 32x14x14x6 · 5x5x6x16 | 1.2 | 0.50 ▾ |  |  |" in lines
    assert lines[-1].endswith("mkl=True; commit abc.")


def test_whole_networks_show_their_spread():
    lines = lines_of(
        [
            peer_row("mlp", 3.5, direction="step", suite="train", batch=128),
            peer_row("mlp", 2.5, direction="step", suite="train", batch=128, threads=2),
            peer_row("other", 0.2, direction="step", suite="train", batch=128),
        ]
    )
    assert lines[0] == "| median (20th to 80th percentile) | batch | aim | 1 thread | 2 threads |"
    assert lines[2] == "| training step, mlp | 128 | 3 | 3.50 (3.40–3.60) | 2.50 ▾ (2.40–2.60) |"
    assert lines[3] == "| training step, other | 128 |  | 0.20 (0.10–0.30) |  |"


def test_of_several_runs_the_one_with_the_median_ratio_counts():
    cell = "| lenet conv1 | 32x28x28x1 · 5x5x1x6 | 1.2 | {} |  |  |".format
    ratios = [1.5, 0.5, 3.0, 2.0]
    runs = [peer_row("conv1", ratio, time=f"2026-01-0{day}") for day, ratio in enumerate(ratios, 1)]
    assert cell("1.50") in lines_of(runs[:3])
    assert cell("1.50") in lines_of(runs)
    assert cell("0.50 ▾") in lines_of(runs[:2])
    other = peer_row("conv1", 1.3, direction="dgrad")
    lines = lines_of([*runs[:3], other])
    assert "Rows by how many runs measured them: 1 in 3, 1 in 1; the run with the median ratio counts." in lines
    assert not any(line.startswith("Rows by") for line in lines_of([runs[0], other]))


def test_runs_of_an_older_commit_do_not_count():
    newer = [peer_row("conv1", ratio, time="2026-01-02", commit="new") for ratio in (1.4, 1.5, 9.0)]
    older = [peer_row("conv1", ratio, time="2026-01-01", commit="old") for ratio in (0.1, 0.2, 0.3)]
    assert "| lenet conv1 | 32x28x28x1 · 5x5x1x6 | 1.2 | 1.50 |  |  |" in lines_of([*newer, *older])


def test_slower_ways_wrong_rows_and_other_libraries_are_left_out():
    rows = [
        row("conv1"),
        peer_row("conv1", 9.0, chosen=False),
        peer_row("conv1", 9.0, correct=False),
        peer_row("conv1", 9.0, peer="jax"),
    ]
    with pytest.raises(ValueError, match="No row compares deepcore with torch; measure some with --against torch"):
        Comparison.of(rows, "torch")
    assert "| lenet conv1 | 32x28x28x1 · 5x5x1x6 | 1.2 | 9.00 |  |  |" in Comparison.of(rows, "jax").markdown()


def test_the_picture_says_every_kind_network_and_mean(tmp_path):
    rows = [
        peer_row("conv1", 2.0),
        peer_row("conv2", 0.5, shape="32x14x14x6 * 5x5x6x16"),
        peer_row("conv1", 1.3, threads=2),
        peer_row("mlp", 3.5, suite="train", direction="step", batch=128, shape=""),
    ]
    file = tmp_path / "ratios.svg"
    draw(Comparison.of(rows, "torch"), file)
    texts = [element.text for element in ElementTree.parse(file).iter("{http://www.w3.org/2000/svg}text")]
    assert {"LeNet's convolutions, fprop", "training step, mlp, batch 128", "1 thread", "2 threads"} <= {*texts}
    assert "1.00" in texts  # the geometric mean of 2.0 and 0.5
    again = tmp_path / "again.svg"
    draw(Comparison.of(rows, "torch"), again)
    assert again.read_bytes() == file.read_bytes()


def test_a_picture_in_no_format_that_exists(tmp_path):
    with pytest.raises(ValueError, match="nothing"):
        draw(Comparison.of([peer_row("conv1", 2.0)], "torch"), tmp_path / "ratios.nothing")

"""Whether dispatch's choices are held to the clock."""

import io

import pytest
from benchmark_examples import peer_row, row

from deepcore.benchmarks.table import console
from deepcore.benchmarks.verdict import print_verdicts, verdicts


def text(rows):
    out = console(io.StringIO())
    print_verdicts(out, rows)
    return out.file.getvalue()


RIGHT = [row(p50=0.002), row(p50=0.003, implementation="numba", chosen=False)]
CLOSE = [row("conv2", p50=0.00209), row("conv2", p50=0.002, implementation="numba", chosen=False)]
WRONG = [
    row(direction="dgrad", p50=0.004),
    row(direction="dgrad", p50=0.003, implementation="numba", chosen=False),
    row(direction="dgrad", p50=0.001, implementation="numba-direct", chosen=False),
    peer_row(0.1, direction="dgrad"),
]


def test_the_fastest_is_found_among_deepcores_own():
    first, second, third = verdicts([*RIGHT, *CLOSE, *WRONG])
    assert (first.fastest.implementation, first.factor, first.good) == ("numpy", 1.0, True)
    assert (second.fastest.implementation, second.good) == ("numba", True)
    assert second.factor == pytest.approx(1.045)
    assert (third.fastest.implementation, third.factor, third.good) == ("numba-direct", 4.0, False)


def test_a_case_counts_only_with_a_choice_and_something_to_choose_from():
    assert verdicts(RIGHT[:1]) == []
    assert verdicts([row(p50=None, correct=False), *RIGHT[1:]]) == []
    assert verdicts([]) == []
    assert text(RIGHT[:1]) == ""


def test_what_wrong_choices_cost_is_said():
    shown = text([*RIGHT, *CLOSE, *WRONG])
    assert "Did dispatch choose the fastest?" in shown
    (line,) = [line for line in shown.splitlines() if "lenet conv1" in line and " dgrad " in line and "300%" in line]
    assert line.split() == ["lenet", "conv1", "dgrad", "numpy", "4", "ms", "numba-direct", "1", "ms", "300%"]
    (right,) = [line for line in shown.splitlines() if "lenet conv1" in line and " fprop " in line]
    assert right.split() == ["lenet", "conv1", "fprop", "numpy", "2", "ms", "the", "same"]
    (close,) = [line for line in shown.splitlines() if "lenet conv2" in line]
    assert close.split() == ["lenet", "conv2", "fprop", "numpy", "2.09", "ms", "numba", "2", "ms", "4%"]
    assert (
        "Dispatch chose the fastest, or one within 5% of it, in 2 of 3 cases; together its choices take 1.62 times as "
        "long as the fastest. Worst: lenet conv1 dgrad, where numpy takes 4 ms and numba-direct 1 ms."
    ) in shown


def test_without_a_wrong_choice_there_is_no_worst():
    shown = text(RIGHT)
    assert "in 1 of 1 cases; together its choices take 1.00 times as long as the fastest." in shown
    assert "Worst" not in shown

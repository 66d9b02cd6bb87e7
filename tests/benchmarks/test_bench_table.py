"""What a reader sees, at any width and in a pipe."""

import io

import pytest
from rich.console import Console

from deepcore.benchmarks.row import Row
from deepcore.benchmarks.suite import LENET
from deepcore.benchmarks.summary import network_times, summary
from deepcore.benchmarks.table import console, print_rows


def row(layer="conv1", direction="fprop", implementation="numpy", p50=0.002, **changes):
    fields = {
        "suite": "lenet",
        "layer": layer,
        "count": 1,
        "batch": 32,
        "op": f"conv2d_{direction}",
        "direction": direction,
        "shape": "32x28x28x1 * 5x5x1x6",
        "dtype": "float32",
        "layout": "NHWC",
        "device": "cpu",
        "clock": "call",
        "implementation": implementation,
        "chosen": True,
        "why": "any shape [of any size]; cheapest estimate",
        "correct": True,
        "error": 1.5e-7,
        "bound": 2.5e-5,
        "message": "",
        "p20": p50 and 0.9 * p50,
        "p50": p50,
        "p80": p50 and 1.25 * p50,
        "repeats": 9,
        "cache": "cold",
        "transfer_bytes": 0,
        "flops": 40_000_000,
        "bytes": 6_000_000,
        "threads": 2,
        "blas": "openblas",
        "blas_threads": 2,
        "driver": "",
        "gpu": "",
        "precision": "float32",
        "cpu": "a processor",
        "load": 0.1,
        "versions": {"numpy": "2"},
        "commit": "abc",
        "time": "",
    }
    return Row(**(fields | changes))


WRONG = row(
    implementation="numba",
    p50=None,
    chosen=False,
    correct=False,
    error=0.01,
    message="error 0.01 exceeds the bound 2.5e-05",
)


def terminal(width, rows):
    out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, highlight=False)
    print_rows(out, rows)
    return out.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120, 160, 240])
def test_no_line_is_wider_than_the_terminal_and_the_time_is_always_there(width):
    text = terminal(width, [row(), WRONG, row(direction="dgrad")])
    assert max(map(len, text.splitlines())) <= width
    assert "▸ numpy" in text
    assert "2 ms" in text
    assert "WRONG" in text
    assert "20.0" in text or width < 80
    assert "implementation" in text  # a heading is never cut
    assert "conv1" in text


def test_columns_that_do_not_fit_are_named():
    narrow, wide = terminal(80, [row()]), terminal(240, [row()])
    assert "Hidden at this width:" in narrow
    assert "bound, why." in narrow
    assert "Hidden" not in wide
    assert "any shape [of any size]; cheapest estimate" in wide
    assert "1.8–2.5 ms" in wide
    assert "20.0" in wide


def test_repeated_names_are_shown_once_in_a_terminal_and_always_in_a_pipe():
    rows = [row(), row(implementation="numba", chosen=False)]
    assert terminal(200, rows).count("conv1") == 1
    out = console(io.StringIO())
    print_rows(out, rows)
    text = out.file.getvalue()
    assert text.count("conv1") == 2
    assert all(character.isprintable() or character == "\n" for character in text)


def test_a_wrong_row_shows_its_error_and_no_speed():
    out = console(io.StringIO())
    print_rows(out, [WRONG])
    line = next(line for line in out.file.getvalue().splitlines() if "WRONG" in line)
    assert "1.0e-02" in line
    assert "exceeds the bound" in line
    assert " ms" not in line
    lines = [text.plain for text in summary([row(), WRONG], False, 2)]
    assert "1 of 2 rows are WRONG; a wrong result has no speed." in lines
    assert "  lenet conv1 fprop, numba: error 0.01 exceeds the bound 2.5e-05" in lines


def test_a_network_adds_up_only_when_every_layer_was_measured():
    rows = [row(layer.name, direction, count=2) for layer in LENET.layers for direction in layer.directions]
    assert network_times(rows[:-1]) == []
    ((name, batch, forward, backward),) = network_times(rows)
    assert (name, batch) == ("lenet", 32)
    assert forward == pytest.approx(7 * 2 * 0.002)
    assert backward == pytest.approx(11 * 2 * 0.002)  # conv1 needs no gradient of its input
    slower = [row(*key, p50=1.0, chosen=False) for key in [("conv1", "fprop")]]
    assert network_times(rows + slower) == network_times(rows)


def test_the_summary_says_when_it_was_interrupted():
    lines = [text.plain for text in summary([row()], True, 12)]
    assert "Interrupted: 1 of 12 rows were measured and kept." in lines
    assert any("openblas on 2 threads, loops on 2 threads" in line for line in lines)


def test_only_the_reason_is_ever_cut_short():
    def cells(width):
        lines = terminal(width, [row(), WRONG]).split("Hidden")[0].splitlines()
        table = lines[next(i for i, line in enumerate(lines) if line.startswith("layer")) :]
        return {cell.strip() for line in table for cell in line.split("   ") if "─" not in cell}

    for width in range(60, 200, 7):
        assert {cell for cell in cells(width) if "…" not in cell} <= cells(400), width

"""What a reader sees, at any width and in a pipe."""

import io

import pytest
from benchmark_examples import peer_row, row
from rich.console import Console

from deepcore.benchmarks.suite import LENET
from deepcore.benchmarks.summary import network_times, summary
from deepcore.benchmarks.table import console, print_rows

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


def plain(rows, every=False):
    out = console(io.StringIO())
    print_rows(out, rows, every)
    return out.file.getvalue()


def test_ratios_are_there_where_another_library_is():
    assert "ratio" not in plain([row()])
    text = plain([row(), peer_row(1.234)])
    (line,) = [line for line in text.splitlines() if "bigtorch" in line]
    assert "  bigtorch 9.1 channels_last" in line
    assert "▸ bigtorch" not in line
    assert "1.23" in line
    assert "1.11–1.36" in line
    narrow = terminal(80, [row(), peer_row(1.234)])
    assert "1.23" in narrow
    assert max(map(len, narrow.splitlines())) <= 80


def test_of_the_layouts_of_a_library_only_the_fastest_is_shown():
    slower = peer_row(3.0, implementation="bigtorch 9.1 contiguous", chosen=False)
    assert "contiguous" not in plain([row(), peer_row(), slower])
    assert "contiguous" in plain([row(), peer_row(), slower], every=True)
    wrong = peer_row(
        implementation="bigtorch 9.1 contiguous",
        chosen=False,
        correct=False,
        p50=None,
        ratio_p50=None,
        message="returned NaN or infinity",
    )
    (line,) = [line for line in plain([row(), peer_row(), wrong]).splitlines() if "contiguous" in line]
    assert "WRONG" in line
    assert "returned NaN or infinity" in line


def test_the_summary_has_the_geometric_mean_and_the_worst_of_each_kind():
    depthwise = "4x112x112x32 * 3x3x1x32 depthwise"
    rows = [
        row(),
        peer_row(2.0),
        row(direction="dgrad"),
        peer_row(0.5, direction="dgrad"),
        peer_row(8.0, direction="dgrad", chosen=False),
        peer_row(4.0, layer="dw1", shape=depthwise),
        peer_row(3.0, name="otherlib"),
    ]
    lines = [line.plain for line in summary(rows, False, 7)]
    assert lines[:3] == [
        "lenet conv2d against bigtorch 9.1: 1.00 (geometric mean of 2 rows, 1 at least 1); worst 0.50, conv1 dgrad.",
        "lenet depthwise against bigtorch 9.1: 4.00 (geometric mean of 1 row, 1 at least 1); worst 4.00, dw1 fprop.",
        "lenet conv2d against otherlib 9.1: 3.00 (geometric mean of 1 row, 1 at least 1); worst 3.00, conv1 fprop.",
    ]
    assert "bigtorch 9.1 on 2 threads; huge=yes." in lines
    assert "above 1, deepcore is faster" in lines[-1]
    assert not any("ratio" in line.plain for line in summary([row()], False, 1))


def test_other_libraries_do_not_count_as_the_network():
    rows = [row(layer.name, direction, count=2) for layer in LENET.layers for direction in layer.directions]
    others = [peer_row(0.1, layer=one.layer, direction=one.direction) for one in rows]
    assert network_times(rows + others) == network_times(rows)
    assert network_times(others) == []

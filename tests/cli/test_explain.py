"""Explanations: what the function finds, how it reads, and what the command says when it cannot."""

import numpy as np
import pytest

from deepcore.backend.dispatch import Call, choose, family, operations, use_implementation, use_winograd
from deepcore.backend.explain import explain, load_records, matmul_gradients
from deepcore.backend.geometry import Conv2DGeometry, FlatGeometry, MatmulGeometry, Pool2DGeometry, RowsGeometry


def test_every_direction_is_explained_as_dispatch_decides():
    explanation = explain("conv2d", (32, 224, 224, 3), (3, 3, 3, 64), strides=2, padding="same")
    geometry = Conv2DGeometry.of((32, 224, 224, 3), (3, 3, 3, 64), 2, "same")
    assert [section.title for section in explanation.sections] == ["conv2d_fprop", "conv2d_dgrad", "conv2d_wgrad"]
    for section in explanation.sections:
        assert section.call == Call(section.title, "float32", geometry)
        assert section.chosen.implementation is choose(section.title, "float32", geometry)
        assert {"numpy", "numba"} <= {choice.implementation.name for choice in section.choices}


def test_arrays_bring_their_dtype_and_one_direction_can_be_asked_for():
    x = np.zeros((2, 8, 8, 3), np.float64)
    explanation = explain("max_pool2d_fprop", x, pool_size=2)
    (section,) = explanation.sections
    assert explanation.dtype == section.call.dtype == "float64"
    assert section.call.geometry == Pool2DGeometry.of(x.shape, 2)
    assert explain("max_pool2d_fprop", x, dtype="float32").dtype == "float32"


@pytest.mark.parametrize(
    ("op", "shapes", "options", "geometry"),
    [
        ("softmax", [(4, 3, 10)], {}, RowsGeometry(12, 10)),
        ("reduce_sum", [(4, 3, 10)], {"axes": (0, -1)}, RowsGeometry(3, 40)),
        ("reduce_max", [(4, 3, 10)], {}, RowsGeometry(1, 120)),
        ("embedding_gather", [(100, 16), (4, 7)], {}, RowsGeometry(28, 16)),
        ("dropout", [(4, 3, 10)], {}, FlatGeometry(120)),
        ("cast", [(4, 3, 10)], {}, FlatGeometry(120)),
    ],
)
def test_operations_of_rows_and_of_elements(op, shapes, options, geometry):
    for section in explain(op, *shapes, **options).sections:
        assert section.call.geometry == geometry
        assert section.chosen is not None


def test_every_operation_can_be_explained():
    load_records()
    operands = {"conv2d": [(2, 8, 8, 4), (3, 3, 4, 4)], "matmul": [(8, 4), (4, 8)]}
    for op in operations():
        shapes = operands.get(family(op), [(8, 4), (5,)] if op.startswith("embedding") else [(2, 8, 8, 4)])
        for section in explain(op, *shapes).sections:
            assert section.chosen.implementation.op == section.call.op
            assert section.sizes


def test_the_text_says_which_and_why_and_why_not(plant):
    plant("matmul", "fast", print, cost=1e-9, supports=lambda call: (True, "any shape"))
    plant("matmul", "gpu", print, cost=1e-8, device="cuda")
    plant("matmul", "missing", print, available=lambda: (False, "not compiled; run make"))
    plant("matmul", "picky", print, supports=lambda call: (False, "m must be a multiple of 128"))
    lines = str(explain("matmul", (5, 7), (7, 3))).splitlines()
    assert lines[0] == "matmul, float32 on cpu: 5x7 @ 7x3"
    assert lines[1].split() == ["implementation", "device", "estimate", "why"]
    assert lines[2].split(maxsplit=5) == ["→", "fast", "cpu", "1", "ns", "any shape; cheapest estimate"]
    section = lines[3 : lines.index("", 3)] if "" in lines[3:] else lines[3:]
    reasons = {line.split()[0]: line for line in section}
    assert reasons["gpu"].endswith("runs on cuda; the arrays are on cpu")
    assert reasons["missing"].endswith("not compiled; run make")
    assert reasons["picky"].endswith("m must be a multiple of 128")


def test_a_call_that_nothing_serves_is_explained_too():
    explanation = explain("matmul", (5, 7), (7, 3), device="emulator")
    if explanation.sections[0].chosen is None:
        assert "No implementation serves this call on emulator." in str(explanation)
    else:
        assert explanation.sections[0].chosen.implementation.device == "cuda"


def test_a_forced_implementation_shows_in_the_explanation():
    with use_implementation("conv2d_fprop", "numpy"):
        section = explain("conv2d_fprop", (1, 5, 5, 1), (3, 3, 1, 1)).sections[0]
    assert section.chosen.implementation.name == "numpy"
    assert section.chosen.reason.endswith("forced by use_implementation")


def test_the_size_of_winograds_tiles_that_the_program_allows_is_explained():
    shapes = (1, 28, 28, 64), (3, 3, 64, 64)
    chosen = []
    for tile in (4, 2, 0):
        with use_winograd(tile):
            (section,) = explain("conv2d_fprop", *shapes, padding="same").sections
            assert section.chosen.implementation is choose("conv2d_fprop", "float32", section.call.geometry)
            chosen.append(section.chosen.implementation.name)
            if tile == 0:
                assert "winograd" not in chosen[-1]
                reasons = {choice.implementation.name: choice.reason for choice in section.choices}
                assert reasons["winograd-4"] == "set_winograd allows tiles of 0; these are of 4"


def test_16_bit_floats_are_explained_as_what_they_are_computed_in():
    explanation = explain("conv2d", np.zeros((2, 8, 8, 6), np.float16), (1, 1, 6, 32))
    assert explanation.dtype == "float16"
    for section in explanation.sections:
        assert section.call.dtype == "float32"
        assert section.chosen.implementation is choose(section.title, "float32", section.call.geometry)
    assert str(explanation).startswith("conv2d_fprop, float16, computed in float32, on cpu: 2x8x8x6 * 1x1x6x32 -> ")
    assert explain("cast", (40,), dtype="float16").sections[0].call.dtype == "float16"
    assert explain("conv2d", (2, 8, 8, 6), (1, 1, 6, 32), dtype="float16", device="cuda").sections[0].call.dtype == (
        "float16"
    )


def test_what_could_run_stands_before_what_could_not_and_what_runs_elsewhere(plant):
    plant("matmul", "missing", print, cost=1.0, available=lambda: (False, "not compiled; run make"))
    plant("matmul", "picky", print, supports=lambda call: (False, "m must be a multiple of 128"))
    plant("matmul", "gpu", print, cost=1e-8, device="cuda")
    names = [choice.implementation.name for choice in explain("matmul", (5, 7), (7, 3)).sections[0].choices]
    assert names.index("numpy") < names.index("missing") < names.index("picky") < names.index("gpu")


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_matmul_gradients_are_the_products_that_the_geometry_says(transpose_a, transpose_b, rng):
    a, b, dy = rng.standard_normal((5, 7)), rng.standard_normal((7, 3)), rng.standard_normal((5, 3))
    stored_a, stored_b = (a.T if transpose_a else a), (b.T if transpose_b else b)
    of_a, of_b = matmul_gradients(MatmulGeometry.of(stored_a.shape, stored_b.shape, transpose_a, transpose_b))

    def product(g, left, right):
        assert MatmulGeometry.of(left.shape, right.shape, g.transpose_a, g.transpose_b) == g
        return (left.T if g.transpose_a else left) @ (right.T if g.transpose_b else right)

    da = product(of_a, *((stored_b, dy) if transpose_a else (dy, stored_b)))
    db = product(of_b, *((dy, stored_a) if transpose_b else (stored_a, dy)))
    np.testing.assert_allclose(da, (dy @ b.T).T if transpose_a else dy @ b.T)
    np.testing.assert_allclose(db, (a.T @ dy).T if transpose_b else a.T @ dy)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "sentence"),
    [
        (("conv", (1, 5, 5, 1)), {}, ValueError, "Unknown operation 'conv'. Did you mean 'conv2d'"),
        (("conv2d", (1, 5, 5, 3), (3, 3, 4, 8)), {}, ValueError, "x has 3 channels"),
        (("conv2d", (1, 5, 5, 3)), {}, TypeError, "conv2d takes 2 operands (x, w); got 1: (1, 5, 5, 3)."),
        (("matmul", (1, 2), (2, 3)), {"strides": 2}, TypeError, "matmul has no option 'strides'; it takes transpose_a"),
        (("matmul", (1, 2), (2, 3)), {"dtype": "int32"}, ValueError, "Unknown floating dtype 'int32'"),
        (("matmul", (1, 2), (2, 3)), {"device": "gpu"}, ValueError, "Unknown device 'gpu'"),
        (("matmul", (1, 0), (0, 3)), {}, ValueError, "axes of at least 1; got shape (1, 0)"),
        (("matmul", "1x2", (2, 3)), {}, TypeError, "explain expects arrays, or shapes as tuples of ints; got '1x2'"),
    ],
)
def test_errors_say_what_was_wrong(arguments, options, error, sentence):
    with pytest.raises(error) as caught:
        explain(*arguments, **options)
    assert sentence in str(caught.value)


def test_the_command_prints_a_table_a_direction(run):
    result = run("explain", "conv2d", "32x224x224x3", "3x3x3x64", "--strides", 2, "--padding", "same")
    assert result.exit_code == 0, result.stderr
    for direction in ("fprop", "dgrad", "wgrad"):
        assert f"conv2d_{direction} · float32 on cpu" in result.stdout
    assert result.stdout.count("▸") == 3
    assert result.stdout.count("cheapest estimate") == 3


def test_the_command_hands_on_every_option(run):
    result = run("explain", "conv2d", "1x9x9x4", "3x3x2x8", "--groups", 2, "--dilation", "2x1", "--padding", "1x2")
    assert result.exit_code == 0, result.stderr
    result = run("explain", "matmul", "784x128", "784x512", "--transpose-a", "--dtype", "float64")
    assert result.exit_code == 0, result.stderr
    assert "matmul · float64 on cpu" in result.stdout
    result = run("explain", "max_pool2d", "32x112x112x64", "--pool-size", "3x2", "--strides", 2)
    assert result.exit_code == 0, result.stderr


def test_a_call_that_nothing_serves_ends_with_status_1(run, monkeypatch, plant):
    plant("conv2d_fprop", "cuda-test", print, device="cuda", available=lambda: (False, "no GPU here"))
    result = run("explain", "conv2d_fprop", "1x9x9x4", "3x3x4x8", "--dtype", "bfloat16", "--device", "cuda")
    assert "no GPU here" in result.stdout
    assert result.exit_code == (0 if "▸" in result.stdout else 1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["conv2", "1x5x5x1"], "Unknown operation 'conv2'. Did you mean 'conv2d'"),
        (["conv2d", "1x5x5x3", "3x3x4x8"], "conv2d: x has 3 channels, but the kernel (3, 3, 4, 8)"),
        (["conv2d", "1x5x5x3", "3x3x3x"], "'3x3x3x' is not a shape. Write sizes with an x between them"),
        (["conv2d", "1x5x5x3"], "conv2d takes 2 operands (x, w); got 1"),
        (["conv2d", "1x5x5x3", "7x7x3x1"], "the window (7, 7) is larger than the padded input (5, 5)"),
        (["conv2d", "1x5x5x3", "3x3x3x1", "--strides", "2x2x2"], "--strides '2x2x2' is neither one size nor"),
        (["conv2d", "1x5x5x3", "3x3x3x1", "--padding", "full"], "padding must be 'valid', 'same' or explicit sizes"),
        (["max_pool2d", "1x5x5x3", "--groups", "2"], "max_pool2d has no option 'groups'"),
        (["matmul", "3x4", "5x6"], "matmul: the inner sizes differ, 4 and 5"),
    ],
)
def test_misuse_ends_with_status_2_and_one_sentence(run, arguments, sentence):
    result = run("explain", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""

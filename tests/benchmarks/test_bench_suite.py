"""The suites are the published networks: their arithmetic, and sizes that follow from one layer to the next."""

import pytest

from deepcore.benchmarks.suite import SUITES, Conv, Dense, Pool, default_selection, find_suite, suites_of


def flops(name, *ops):
    return sum(layer.count * layer.geometry(1).flops for layer in SUITES[name].layers if layer.op in ops)


@pytest.mark.parametrize(
    ("name", "convolutions", "multiply_adds"),
    [
        ("vgg16", 13, 15.3466e9),
        ("resnet50", 53, 4.08714e9),
        ("alexnet", 5, 0.665785e9),
        ("mobilenet", 27, 0.567716e9),
        ("lenet", 2, 117_600 + 240_000),
    ],
)
def test_convolutions_are_the_published_ones(name, convolutions, multiply_adds):
    assert sum(layer.count for layer in SUITES[name].layers if isinstance(layer, Conv)) == convolutions
    assert flops(name, "conv2d") / 2 == pytest.approx(multiply_adds, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("vgg16", 123_633_664), ("alexnet", 58_621_952), ("lenet", 58_920), ("resnet50", 2_048_000)],
)
def test_dense_layers_have_the_published_weights(name, parameters):
    assert sum(layer.inputs * layer.units for layer in SUITES[name].layers if isinstance(layer, Dense)) == parameters


@pytest.mark.parametrize("name", ["lenet", "alexnet", "vgg16", "mobilenet"])
def test_each_layer_reads_what_the_one_before_writes(name):
    size = None
    for layer in SUITES[name].layers:
        if isinstance(layer, Dense):
            elements = size[0] * size[1] * size[2] if isinstance(size, tuple) else size
            assert layer.inputs == elements, layer.name
            size = layer.units
        else:
            assert size in (None, layer.x), layer.name
            size = layer.geometry(1).y_shape[1:]


def test_resnet50_stages_end_where_the_next_begins():
    layers = {layer.name: layer.geometry(1) for layer in SUITES["resnet50"].layers if isinstance(layer, (Conv, Pool))}
    assert layers["conv1"].y_shape == (1, 112, 112, 64)
    assert layers["pool1"].y_shape == layers["conv2_1_1x1a"].x_shape == (1, 56, 56, 64)
    sides = {2: 56, 3: 28, 4: 14, 5: 7}
    for stage, side in sides.items():
        width = 32 * 2 ** (stage - 1)
        assert layers[f"conv{stage}_1x1b"].y_shape == (1, side, side, 4 * width)
        assert layers[f"conv{stage}_3x3"].y_shape == layers[f"conv{stage}_1x1b"].x_shape
        if stage > 2:
            assert layers[f"conv{stage}_1_1x1a"].x_shape == layers[f"conv{stage - 1}_1x1b"].y_shape
            assert layers[f"conv{stage}_1_3x3"].y_shape == layers[f"conv{stage}_1x1b"].x_shape
            assert layers[f"conv{stage}_1_shortcut"].y_shape == layers[f"conv{stage}_1x1b"].y_shape
    assert layers["avg_pool"].y_shape == (1, 1, 1, 2048)


def test_deepbench_outputs_match_its_next_inputs():
    layers = {layer.name: layer.geometry(1) for layer in SUITES["deepbench"].layers if isinstance(layer, Conv)}
    speech = layers["speech_700x161"]
    assert (speech.out_height, speech.out_width) == (79, 341)
    assert (layers["face_108"].out_height, layers["face_108"].out_width) == (54, 54)


def test_names_are_unique_and_selections_exist():
    for suite in SUITES.values():
        names = [layer.name for layer in suite.layers]
        assert len(set(names)) == len(names)
        assert set(suite.selection) <= set(names)
    assert {layer.op for _, layer in default_selection()} == {"conv2d", "max_pool2d", "avg_pool2d", "matmul"}


def test_an_unknown_suite_names_the_nearest():
    with pytest.raises(ValueError, match=r"Unknown suite 'vgg'\. Did you mean 'vgg16'"):
        find_suite("vgg")


def test_pooling_has_every_number_of_channels_in_both_windows():
    found = {(layer.op, layer.window, layer.strides, layer.x[2]) for layer in SUITES["pooling"].layers}
    channels = (1, 3, 6, 16, 64, 512)
    assert found == {(f"{op}_pool2d", window, 2, c) for op in ("max", "avg") for window in (2, 3) for c in channels}


def test_the_cpu_selection_has_every_kind_of_convolution_once():
    pairs = suites_of("cpu")
    assert len(set(pairs)) == len(pairs)
    convolutions = [layer for _, layer in pairs if isinstance(layer, Conv)]
    kinds = {(layer.kernel, layer.strides) for layer in convolutions if layer.groups == 1}
    assert kinds >= {((1, 1), 1), ((1, 1), 2), ((3, 3), 1), ((3, 3), 2), ((5, 5), 1), ((7, 7), 2), ((11, 11), 4)}
    depthwise = {layer.strides for layer in convolutions if layer.groups == layer.x[2]}
    assert depthwise == {1, 2}
    assert {layer.x[2] for _, layer in pairs if isinstance(layer, Pool)} == {1, 3, 6, 16, 64, 512}


def test_all_is_every_layer_of_every_suite():
    assert len(suites_of("all")) == sum(len(suite.layers) for suite in SUITES.values())
    with pytest.raises(ValueError, match=r"Unknown suite 'cpus'\. Did you mean 'cpu'"):
        suites_of("cpus")

"""Every example runs, and the full runs, which are slow, reach the figures that the examples promise.

The images are scikit-learn's digits, which need no download. What an example's ``main`` gives is its final figure.
"""

from __future__ import annotations

import importlib
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from devices import skip_unless_there

import deepcore
from deepcore.datasets import mnist

FOLDER = Path(__file__).parents[2] / "examples"
ON_DIGITS = ("autoencoder", "fine_tuning", "gan", "lenet_digits", "mnist_cnn", "mnist_mlp", "softmax_regression")
PICTURES = ("autoencoder", "gan", "softmax_regression")
DIGITS = ["--data", "digits"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(name, *arguments):
    """What ``main`` of the example gives."""
    return importlib.import_module(name).main(list(arguments))


def figures(result):
    return np.atleast_1d(np.asarray(result, np.float64))


def is_picture(path, least):
    """Whether it is a PNG with ink: more than ``least`` different values."""
    from matplotlib.image import imread

    return len(np.unique(imread(path))) > least


def test_every_example_is_tested_and_told_of():
    scripts = {file.stem for file in FOLDER.glob("*.py")} - {"handwritten"}
    assert scripts == {*ON_DIGITS, "lstm_adding", "dqn_cartpole"}
    told = (FOLDER / "README.md").read_text()
    assert [name for name in scripts if f"`{name}.py`" not in told] == []


# Seconds


@pytest.mark.parametrize("name", [name for name in ON_DIGITS if name != "fine_tuning"])
def test_two_epochs_on_digits(name):
    picture = ["--plot", "picture.png"] if name in PICTURES else []
    result = figures(run(name, *DIGITS, "--epochs", "2", *picture))
    assert np.isfinite(result).all()
    assert (result >= 0).all()
    if picture:
        assert is_picture("picture.png", 50)


def test_a_run_is_the_same_again():
    arguments = [*DIGITS, "--epochs", "1"]
    first, second, other = (run("mnist_mlp", *arguments, "--seed", seed) for seed in ("3", "3", "4"))
    assert first == second != other


def test_softmax_regression_has_7850_parameters(tmp_path, capsys):
    """On images of MNIST's size; a file on disk takes the place of a download."""
    rng = np.random.default_rng(0)
    labels = np.arange(100, dtype=np.uint8) % 10
    images = rng.integers(0, 50, (100, 28, 28), dtype=np.uint8)
    images[np.arange(100), 2 * labels] = 255  # each class has a line at a height of its own
    np.savez("lines.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    accuracy = run("softmax_regression", "--path", "./lines.npz", "--epochs", "20")
    assert "7,850 parameters" in capsys.readouterr().out
    assert accuracy > 0.9


def test_without_a_network_digits_take_the_place_of_mnist(monkeypatch, capsys):
    def refuse(path):
        raise ConnectionError(f"{path} could not be downloaded")

    monkeypatch.setattr(mnist, "load_data", refuse)
    (x, y), _ = importlib.import_module("handwritten").load()
    assert x.shape == (1438, 8, 8)
    assert x.max() == 1
    assert y.shape == (1438,)
    assert "digits take the place of MNIST; --path" in capsys.readouterr().out


def test_what_is_added_is_what_is_marked():
    x, y = importlib.import_module("lstm_adding").sequences(50, 9, np.random.default_rng(0))
    numbers, marks = x[..., 0], x[..., 1]
    np.testing.assert_array_equal(marks[:, :4].sum(axis=1), 1)
    np.testing.assert_array_equal(marks[:, 4:].sum(axis=1), 1)
    for row in range(50):
        np.testing.assert_allclose(y[row, 0], numbers[row][marks[row] == 1].sum(), rtol=1e-6)


def test_a_short_lstm():
    assert 0 < run("lstm_adding", "--length", "4", "--examples", "500", "--epochs", "2") < 0.5


def test_the_frechet_distance_of_gaussians():
    """N(0, 1)^2 and N((3, 4), diag(4, 9)): 25 + (1 - 2)^2 + (1 - 3)^2."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 200_000, 2))
    distance = importlib.import_module("gan").frechet_distance(a, np.array([3, 4]) + b * [2, 3])
    assert distance == pytest.approx(30, rel=0.01)


def test_fine_tuning_freezes_and_thaws(monkeypatch):
    """The layers below the new head are as saved while it learns, and change when all is tuned."""
    module = importlib.import_module("fine_tuning")
    fit, seen = module.fit, []

    def spy(model, train, test, epochs, **named):
        accuracy = fit(model, train, test, min(epochs, 2), **named)
        seen.append(model.get_weights())
        return accuracy

    monkeypatch.setattr(module, "fit", spy)
    run("fine_tuning", *DIGITS, "--epochs", "1")
    saved, headed, whole, _ = seen
    base = [weights.get_weights() for weights in deepcore.models.load_model("zero_to_four.keras").layers]
    base = [array for arrays in base[:-1] for array in arrays]
    assert len(base) == 4
    for one, two, three, four in zip(base, saved, headed, whole, strict=False):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(two, three)
        assert (three != four).any()


def test_dqn_says_what_is_missing_without_gymnasium(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(SystemExit, match=r"gymnasium.*pip install 'deepcore\[examples\]'"):
        run("dqn_cartpole")


def test_the_newest_transition_takes_the_place_of_the_oldest():
    buffer = importlib.import_module("dqn_cartpole").ReplayBuffer(3, 2)
    rng = np.random.default_rng(0)
    for i in range(5):
        buffer.add([i, i], i % 2, 10 * i, [i + 1, i + 1], i == 4)
        drawn = buffer.sample(200, rng)
        states = drawn["state"]
        np.testing.assert_array_equal(np.unique(states), np.arange(max(0, i - 2), i + 1))
        np.testing.assert_array_equal(drawn["next_state"], states + 1)
        np.testing.assert_array_equal(drawn["action"], states[:, 0] % 2)
        np.testing.assert_array_equal(drawn["reward"], 10 * states[:, 0])
        np.testing.assert_array_equal(drawn["ended"], states[:, 0] == 4)


def test_a_q_network_learns_the_values_of_a_chain():
    """From 0 by action 1 to 1, from there by action 1 to the end, each for a reward of 1: 1.99 and 1; action 0 ends."""
    module = importlib.import_module("dqn_cartpole")
    deepcore.utils.set_random_seed(0)
    values, learner = module.networks(2, 2, 16)
    target = deepcore.models.clone_model(values)
    first, second = np.eye(2)
    buffer = module.ReplayBuffer(4, 2)
    buffer.add(first, 1, 1, second, 0)
    buffer.add(second, 1, 1, first, 1)
    buffer.add(first, 0, 0, second, 1)
    buffer.add(second, 0, 0, first, 1)
    for step in range(300):
        if step % 30 == 0:
            target.set_weights(values.get_weights())
        module.learn(values, target, learner, np.repeat(buffer.transitions, 8))
    np.testing.assert_allclose(values.predict_on_batch(np.eye(2)), [[0, 1.99], [0, 1]], atol=0.1)


def test_a_short_game(tmp_path):
    pytest.importorskip("gymnasium")
    mean = run("dqn_cartpole", "--steps", "500", "--every", "10", "--plot", "curve.png")
    assert 5 < mean <= 500
    assert is_picture("curve.png", 20)


def test_a_script_is_run_as_a_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["softmax_regression.py", *DIGITS, "--epochs", "1"])
    runpy.run_path(str(FOLDER / "softmax_regression.py"), run_name="__main__")
    assert "650 parameters, test accuracy" in capsys.readouterr().out


@pytest.mark.parametrize("device", ["emulator"])
def test_an_example_runs_on_the_device_it_is_told(device, monkeypatch):
    skip_unless_there(device)
    places, make = set(), deepcore.layers.Dense.build

    def build(layer, shape):
        make(layer, shape)
        places.update(str(weight.device) for weight in layer.weights)

    monkeypatch.setattr(deepcore.layers.Dense, "build", build)
    assert run("softmax_regression", *DIGITS, "--epochs", "1", "--device", device) > 0.5
    assert places == {device}


# Minutes: figures


@pytest.fixture(params=["cpu", "emulator"])
def place(request):
    skip_unless_there(request.param)
    return request.param


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "epochs", "accuracy"),
    [
        ("softmax_regression", {"cpu": 60, "emulator": 10}, {"cpu": 0.95, "emulator": 0.9}),
        ("mnist_mlp", {"cpu": 20, "emulator": 2}, {"cpu": 0.96, "emulator": 0.8}),
        ("mnist_cnn", {"cpu": 30, "emulator": 3}, {"cpu": 0.96, "emulator": 0.6}),
        ("lenet_digits", {"cpu": 30, "emulator": 3}, {"cpu": 0.98, "emulator": 0.8}),
    ],
)
def test_accuracy(place, name, epochs, accuracy):
    assert run(name, *DIGITS, "--device", place, "--epochs", str(epochs[place])) >= accuracy[place]


@pytest.mark.slow
def test_the_autoencoder_beats_principal_components(place):
    """On the emulator: far below the 0.07 of always drawing the mean digit."""
    error, linear = run("autoencoder", *DIGITS, "--device", place, "--epochs", {"cpu": "200", "emulator": "5"}[place])
    assert error < (0.7 * linear if place == "cpu" else 0.06)


@pytest.mark.slow
def test_the_lstm_adds(place):
    """Always answering 1 has an error of 0.167. On the emulator the numbers lie closer, in a sequence of 4."""
    few = ["--length", "4", "--examples", "1500", "--epochs", "2"] if place == "emulator" else []
    assert run("lstm_adding", "--device", place, *few) < {"cpu": 0.005, "emulator": 0.05}[place]


@pytest.mark.slow
def test_the_generator_comes_close_to_digits(place):
    before, after = run("gan", *DIGITS, "--device", place, "--epochs", {"cpu": "60", "emulator": "4"}[place])
    assert after < {"cpu": 1.0, "emulator": 0.8 * before}[place]


@pytest.mark.slow
def test_fine_tuning_learns_new_digits(place):
    """By chance one in five is right."""
    epochs = {"cpu": "20", "emulator": "2"}[place]
    assert min(run("fine_tuning", *DIGITS, "--device", place, "--epochs", epochs)) >= 0.7


@pytest.mark.slow
def test_the_pole_stands(place):
    """Random play has a mean return of 22."""
    pytest.importorskip("gymnasium")
    few = ["--steps", "3000", "--every", "6", "--units", "32", "--goal", "100"] if place == "emulator" else []
    assert run("dqn_cartpole", "--device", place, *few) >= {"cpu": 195, "emulator": 60}[place]

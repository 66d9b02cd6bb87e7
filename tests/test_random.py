from __future__ import annotations

import numpy as np
import pytest

from deepcore import ops, random
from deepcore.device import use_device
from deepcore.random import Generator


def test_a_stream_is_its_seed_and_position():
    first = Generator(5)
    a, b = first.uniform((3, 3)), first.uniform((3, 3))
    second = Generator(5)
    np.testing.assert_array_equal(second.uniform((3, 3)).numpy(), a.numpy())
    np.testing.assert_array_equal(second.uniform((3, 3)).numpy(), b.numpy())
    assert (a.numpy() != b.numpy()).all()
    assert (Generator(6).uniform((3, 3)).numpy() != a.numpy()).all()


def test_draws_do_not_overlap():
    stream = Generator(1)
    seen = [tuple(stream.uniform((n,)).numpy().tolist()) for n in (1, 3, 4, 5, 8)]
    numbers = [x for draw in seen for x in draw]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ranges_and_moments(dtype):
    uniform = Generator(2).uniform((100_000,), -1.0, 3.0, dtype=dtype).numpy()
    assert uniform.dtype == dtype
    assert uniform.min() >= -1
    assert uniform.max() < 3.000001
    # Standard errors: of the mean 4 / sqrt(12 n), of the standard deviation about half of it.
    assert abs(uniform.mean() - 1) < 5 * 4 / np.sqrt(12e5)
    normal = Generator(3).normal((100_000,), 2.0, 0.5, dtype=dtype).numpy()
    assert normal.dtype == dtype
    assert abs(normal.mean() - 2) < 5 * 0.5 / np.sqrt(1e5)
    assert abs(normal.std() - 0.5) < 5 * 0.5 / np.sqrt(2e5)


def test_permutations():
    stream = Generator(4)
    first, second = stream.permutation(50), stream.permutation(50)
    assert sorted(first) == list(range(50))
    assert (first != second).any()
    np.testing.assert_array_equal(Generator(4).permutation(50), first)


def test_streams_spawn_others():
    parent, twin = Generator(9), Generator(9)
    child, sibling = parent.spawn(), parent.spawn()
    assert child.seed != sibling.seed
    assert child.seed == twin.spawn().seed


def test_the_default_stream_starts_anew():
    random.set_seed(11)
    a, dropped = random.normal((4,)), ops.dropout(np.ones(50, np.float32), 0.5)
    random.set_seed(11)
    np.testing.assert_array_equal(random.normal((4,)).numpy(), a.numpy())
    np.testing.assert_array_equal(ops.dropout(np.ones(50, np.float32), 0.5).numpy(), dropped.numpy())
    assert random.uniform((2, 3)).shape == (2, 3)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "x"])
def test_seeds_are_whole_numbers(seed):
    with pytest.raises(ValueError, match="seed is a whole number"):
        Generator(seed)


def test_only_floating_numbers_are_drawn():
    with pytest.raises(ValueError, match="float32 or float64; got int32"):
        Generator(1).uniform((2,), dtype="int32")


# The functions by Keras's names. Bounds are five standard errors of the mean and of the variance of n numbers; the
# error of a variance is sqrt((kurtosis - 1) / n) of it.


N = 40_000


def check_moments(values, mean, variance, kurtosis):
    values = np.float64(values.numpy()).ravel()
    assert abs(values.mean() - mean) < 5 * np.sqrt(variance / values.size)
    assert abs(values.var() / variance - 1) < 5 * np.sqrt((kurtosis - 1) / values.size)


@pytest.mark.parametrize(
    ("draw", "mean", "variance", "kurtosis"),
    [
        (lambda: random.uniform((N,), -1.0, 2.0, seed=1), 0.5, 9 / 12, 1.8),
        (lambda: random.normal((N,), 3.0, 0.5, seed=1), 3.0, 0.25, 3),
        # Johnson et al. 1994, chapter 13: 1 - 2 * 2 phi(2) / (2 Phi(2) - 1).
        (lambda: random.truncated_normal((N,), 1.0, 2.0, seed=1), 1.0, 4 * 0.7737413, 2.4),
        (lambda: random.randint((N,), -3, 5, seed=1), 0.5, 63 / 12, 1.8),
        (lambda: random.gamma((N,), 2.5, seed=1), 2.5, 2.5, 3 + 6 / 2.5),
        (lambda: random.gamma((N,), 0.4, seed=1), 0.4, 0.4, 3 + 6 / 0.4),
        (lambda: random.beta((N,), 2.0, 3.0, seed=1), 0.4, 6 / (25 * 6), 3),
        (lambda: random.binomial((N,), 12, 0.3, seed=1), 3.6, 2.52, 3 + (1 - 6 * 0.21) / 2.52),
        (lambda: random.categorical([[0.0, np.log(3.0)]], N, seed=1), 0.75, 3 / 16, 7 / 3),
        (lambda: random.dropout(np.ones(N, np.float32), 0.2, seed=1), 1.0, 0.25, 3.25),
    ],
)
def test_distributions(draw, mean, variance, kurtosis, device):
    check_moments(draw(), mean, variance, kurtosis)
    np.testing.assert_array_equal(draw().numpy(), draw().numpy())


def test_the_same_numbers_on_every_device(device):
    draws = {
        "categorical": lambda: random.categorical([[0.0, 1.0, -1.0]], 50, seed=3),
        "gamma": lambda: random.gamma((5,), [1.0, 2.0, 3.0, 4.0, 5.0], seed=3),
        "randint": lambda: random.randint((50,), 0, 9, seed=3),
        "truncated_normal": lambda: random.truncated_normal((50,), seed=3),
        "shuffle": lambda: random.shuffle(np.arange(50.0), seed=3),
    }
    ours = {name: draw() for name, draw in draws.items()}
    with use_device("cpu"):
        for name, draw in draws.items():
            assert str(ours[name].device) == device
            np.testing.assert_allclose(ours[name].numpy(), draw().numpy(), rtol=1e-6, err_msg=name)


def test_where_numbers_may_lie():
    cut = random.truncated_normal((N,), 1.0, 2.0, seed=2).numpy()
    assert cut.min() >= -3
    assert cut.max() <= 5
    whole = random.randint((N,), 3, 6, dtype="int64", seed=2)
    assert whole.dtype == np.int64
    assert set(whole.numpy().tolist()) == {3, 4, 5}
    assert set(random.categorical([[0.0, -np.inf, 0.0]], 1000, seed=2).numpy().ravel().tolist()) == {0, 2}
    assert random.categorical(np.zeros((2, 3)), 7).shape == (2, 7)
    assert random.normal((2,), dtype="float16", seed=1).dtype == np.float16


def test_parameters_broadcast():
    counts = random.binomial((3, 2), np.array([[5.0], [0.0], [9.0]]), np.array([1.0, 0.0]), seed=5)
    assert counts.dtype == np.float32
    assert counts.tolist() == [[5, 0], [0, 0], [9, 0]]


def test_shuffling_moves_whole_rows():
    x = np.arange(40).reshape(10, 4)
    mixed = random.shuffle(x, seed=6).numpy()
    assert (mixed != x).any()
    np.testing.assert_array_equal(mixed[np.argsort(mixed[:, 0])], x)
    columns = random.shuffle(x, axis=1, seed=8).numpy()
    np.testing.assert_array_equal(np.sort(columns, 1), x)


def test_a_mask_of_fewer_axes():
    dropped = random.dropout(np.ones((50, 6), np.float32), 0.5, noise_shape=(None, 1), seed=4).numpy()
    assert (dropped == dropped[:, :1]).all()
    assert set(dropped.ravel().tolist()) == {0.0, 2.0}


def test_everything_may_be_dropped():
    assert random.dropout([3.0, 4.0], 1.0).tolist() == [0, 0]


def test_a_seed_generator_goes_on():
    seeds, twin = random.SeedGenerator(9), random.SeedGenerator.from_config({"seed": 9, "name": "twin"})
    first, second = random.normal((4,), seed=seeds), random.normal((4,), seed=seeds)
    assert (first.numpy() != second.numpy()).all()
    np.testing.assert_array_equal(random.normal((4,), seed=twin).numpy(), first.numpy())
    before = seeds.state
    np.testing.assert_array_equal(seeds.next(), before)
    assert (seeds.state != before).any()
    assert seeds.get_config() == {"seed": 9, "name": "seed_generator"}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: random.uniform((2,), dtype="int32"), "needs a floating dtype; got int32"),
        (lambda: random.randint((2,), 0, 3, dtype="float32"), "needs an integer dtype; got float32"),
        (lambda: random.randint((2,), 3, 3), "minval < maxval; got minval=3, maxval=3"),
        (lambda: random.categorical(np.zeros(3), 2), r"\[batch, classes\]; got shape \(3,\)"),
        (lambda: random.gamma((2,), 0.0), "alpha must be positive; got 0.0"),
        (lambda: random.beta((2,), 1.0, -1.0), "beta must be positive; got -1.0"),
        (lambda: random.binomial((2,), -1, 0.5), "counts must not be negative"),
        (lambda: random.binomial((2,), 1, 1.5), "probabilities must be from 0 to 1; got 1.5"),
        (lambda: random.normal((2,), seed="x"), "seed is a whole number"),
        (lambda: random.SeedGenerator("x"), "seed is a whole number"),
        (lambda: random.dropout(np.ones(2), 1.5), "from 0 to 1, 1 excluded"),
    ],
)
def test_impossible_draws(call, words):
    with pytest.raises(ValueError, match=words):
        call()

from __future__ import annotations

import numpy as np
import pytest

from deepcore import ops, random
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

import numpy as np
import oracles.embedding as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import DTYPES, available, check, every_implementation, held_to, numerical_gradient, with_gaps

from deepcore.backend.numpy.embedding import embedding_scatter

GATHER = every_implementation("embedding", "embedding_gather")
SCATTER = every_implementation("embedding", "embedding_scatter")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), GATHER)
def test_gather(backend, rng, op, name, dtype):
    table = rng.standard_normal((13, 5)).astype(dtype)
    with held_to(op, name):
        for shape in ((1,), (7,), (3, 5), (2, 3, 4)):
            for index in (np.int32, np.int64, np.uint8):
                ids = rng.integers(0, 13, shape).astype(index)
                expected = np.array([table[i] for i in ids.ravel()]).reshape(*shape, 5)
                check(backend.embedding_gather(with_gaps(table), with_gaps(ids)), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), SCATTER)
def test_scatter(backend, rng, op, name, dtype):
    with held_to(op, name):
        for shape, columns, vocabulary in (((1,), 1, 1), ((7,), 5, 3), ((3, 5), 7, 100), ((200,), 3, 2)):
            ids = rng.integers(0, vocabulary, shape)
            dy = rng.standard_normal((*shape, columns)).astype(dtype)
            expected = oracle.embedding_scatter(dy, ids, vocabulary)
            check(backend.embedding_scatter(with_gaps(dy), with_gaps(ids), vocabulary), expected, dtype, ids.size)


@pytest.mark.parametrize(("op", "name"), SCATTER)
def test_scatter_is_the_gradient_of_gather(backend, rng, op, name):
    table, ids, dy = rng.standard_normal((4, 3)), np.array([[0, 2], [2, 3]]), rng.standard_normal((2, 2, 3))
    with held_to(op, name):
        actual = backend.embedding_scatter(dy, ids, 4)
    expected = numerical_gradient(lambda t: backend.embedding_gather(t, ids), table, dy)
    np.testing.assert_allclose(actual, expected, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(
    ids=st.lists(st.integers(0, 19), min_size=1, max_size=60),
    columns=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_implementations_give_the_sums_of_equal_ids(ids, columns, seed):
    ids = np.array(ids)
    dy = np.random.default_rng(seed).integers(-8, 8, (ids.size, columns)).astype(np.float32)  # sums are exact
    for op, name in available(SCATTER):
        with held_to(op, name):
            table = embedding_scatter(dy, ids, 20)
        assert np.array_equal(table, oracle.embedding_scatter(dy, ids, 20))


@pytest.mark.parametrize(("op", "name"), SCATTER)
def test_the_same_bits_every_time(backend, rng, op, name):
    ids, dy = rng.integers(0, 50, 5000), rng.standard_normal((5000, 8)).astype(np.float32)
    with held_to(op, name):
        first, second = (backend.embedding_scatter(dy, ids, 50) for _ in range(2))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("wrong", [-1, 4])
def test_an_id_out_of_range_is_named(backend, wrong):
    with pytest.raises(ValueError, match=rf"ids must be in \[0, 4\); got values from .*{wrong}"):
        backend.embedding_gather(np.zeros((4, 2), np.float32), np.array([wrong]))
    with pytest.raises(ValueError, match=r"ids must be in \[0, 4\)"):
        backend.embedding_scatter(np.zeros((1, 2), np.float32), np.array([wrong]), 4)


def test_ids_must_be_integers(backend):
    with pytest.raises(TypeError, match="ids must be integers; got dtype float64"):
        backend.embedding_gather(np.zeros((4, 2), np.float32), np.array([1.0]))

import numpy as np
import oracles.embedding as oracle
import pytest
from matrix import DTYPES, check, every_implementation, held_to, with_gaps

from deepcore.backend.cuda import embedding

GATHER = every_implementation("embedding", "embedding_gather", backend="cuda")
SCATTER = every_implementation("embedding", "embedding_scatter", backend="cuda")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), GATHER)
def test_gather(rng, op, name, dtype):
    with held_to(op, name):
        for columns in (1, 5, 300):
            table = rng.standard_normal((13, columns)).astype(dtype)
            for shape in ((1,), (7,), (3, 5), (2, 3, 41)):
                ids = rng.integers(0, 13, shape)
                check(embedding.embedding_gather(with_gaps(table), with_gaps(ids)), table[ids], dtype)


@pytest.mark.parametrize("index", ["int32", "int64", "uint8", "int16"])
def test_every_dtype_of_ids(rng, index):
    table, ids = rng.standard_normal((200, 3)).astype(np.float32), rng.integers(0, 100, 50).astype(index)
    assert np.array_equal(embedding.embedding_gather(table, ids), table[ids])
    expected = oracle.embedding_scatter(table[:50], ids, 200)
    check(embedding.embedding_scatter(table[:50], ids, 200), expected, np.float32, 50)


CASES = (((1,), 1, 1), ((7,), 5, 3), ((3, 5), 7, 100), ((200,), 3, 2), ((50,), 131, 9), ((4100,), 2, 20))


def _scatter(rng, shape, columns, vocabulary, dtype):
    ids = rng.integers(0, vocabulary, shape)
    dy = rng.standard_normal((*shape, columns)).astype(dtype)
    expected = oracle.embedding_scatter(dy, ids, vocabulary)
    check(embedding.embedding_scatter(with_gaps(dy), with_gaps(ids), vocabulary), expected, dtype, ids.size)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "name"), SCATTER)
def test_scatter(rng, op, name, dtype):
    with held_to(op, name):
        for case in CASES:
            _scatter(rng, *case, dtype)


def test_watched(rng, watched):
    for case in CASES:
        _scatter(rng, *case, np.float32)
    table, ids = rng.standard_normal((9, 37)).astype(np.float32), rng.integers(0, 9, (3, 11))
    assert np.array_equal(embedding.embedding_gather(table, ids), table[ids])


@pytest.mark.parametrize("wrong", [-1, 4])
def test_an_id_that_does_not_exist(watched, wrong):
    table, ids = np.ones((4, 2), np.float32), np.array([1, wrong])
    np.testing.assert_array_equal(embedding.embedding_gather(table, ids), [[1, 1], [np.nan, np.nan]])
    gradient = embedding.embedding_scatter(np.ones((2, 2), np.float32), ids, 4)
    assert gradient.tolist() == [[0, 0], [1, 1], [0, 0], [0, 0]]


def test_ids_must_be_integers():
    with pytest.raises(TypeError, match="ids must be integers; got dtype float64"):
        embedding.embedding_gather(np.zeros((4, 2), np.float32), np.array([1.0]))

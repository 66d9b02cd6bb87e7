"""Array functions of symbolic tensors: open sizes stay open, known ones come out as they do with values."""

from __future__ import annotations

import pytest

from deepcore import Tensor, ops
from deepcore.symbolic import SymbolicTensor

ROWS, IMAGE, SQUARE = (None, 4), (None, 6, 5, 3), (None, 3, 3)

CASES = {
    "exp2": (ops.exp2, [ROWS], [ROWS]),
    "arctan2": (ops.arctan2, [ROWS, (4,)], [ROWS]),
    "isclose": (ops.isclose, [ROWS, ROWS], [ROWS]),
    "clip": (lambda x: ops.clip(x, -1, 1), [ROWS], [ROWS]),
    "prod": (lambda x: ops.prod(x, axis=1), [IMAGE], [(None, 5, 3)]),
    "median": (lambda x: ops.median(x, axis=(1, 2), keepdims=True), [IMAGE], [(None, 1, 1, 3)]),
    "quantile": (lambda x: ops.quantile(x, [0.1, 0.9], axis=1), [ROWS], [(2, None)]),
    "cumsum": (lambda x: ops.cumsum(x, axis=1), [IMAGE], [IMAGE]),
    "cumsum of all": (ops.cumsum, [ROWS], [(None,)]),
    "diff": (ops.diff, [ROWS], [(None, 3)]),
    "sort": (ops.sort, [ROWS], [ROWS]),
    "top_k": (lambda x: ops.top_k(x, 2), [ROWS], [(None, 2), (None, 2)]),
    "argsort": (ops.argsort, [ROWS], [ROWS]),
    "count_nonzero": (lambda x: ops.count_nonzero(x, axis=1), [ROWS], [(None,)]),
    "reshape": (lambda x: ops.reshape(x, (-1, 2, 2)), [ROWS], [(None, 2, 2)]),
    "expand_dims": (lambda x: ops.expand_dims(x, (1, -1)), [ROWS], [(None, 1, 4, 1)]),
    "ravel": (ops.ravel, [IMAGE], [(None,)]),
    "tile": (lambda x: ops.tile(x, (1, 3)), [ROWS], [(None, 12)]),
    "repeat": (lambda x: ops.repeat(x, 2, axis=0), [(None, 4)], [(None, 4)]),
    "roll": (lambda x: ops.roll(x, 1, axis=1), [ROWS], [ROWS]),
    "rot90": (lambda x: ops.rot90(x, axes=(1, 2)), [IMAGE], [(None, 5, 6, 3)]),
    "moveaxis": (lambda x: ops.moveaxis(x, (1, 2), (2, 3)), [IMAGE], [(None, 3, 6, 5)]),
    "pad": (lambda x: ops.pad(x, ((0, 0), (1, 2)), "reflect"), [ROWS], [(None, 7)]),
    "hstack": (lambda x, y: ops.hstack([x, y]), [ROWS, ROWS], [(None, 8)]),
    "unstack": (lambda x: ops.unstack(x, axis=2), [SQUARE], [(None, 3)] * 3),
    "array_split": (lambda x: ops.array_split(x, 3, axis=1), [ROWS], [(None, 2), (None, 1), (None, 1)]),
    "take_along_axis": (lambda x: ops.take_along_axis(x, ops.argsort(x), 1), [ROWS], [ROWS]),
    "diagonal": (lambda x: ops.diagonal(x, axis1=1, axis2=2), [IMAGE], [(None, 3, 5)]),
    "tril": (ops.tril, [SQUARE], [SQUARE]),
    "dot": (lambda x: ops.dot(x, ops.ones((4, 7))), [ROWS], [(None, 7)]),
    "tensordot": (lambda x: ops.tensordot(x, ops.ones((5, 3, 2)), 2), [IMAGE], [(None, 6, 2)]),
    "einsum": (lambda x, y: ops.einsum("bij,bjk->bik", x, y), [SQUARE, (None, 3, 2)], [(None, 3, 2)]),
    "outer": (ops.outer, [(None,), (3,)], [(None, 3)]),
    "norm": (lambda x: ops.norm(x, axis=(1, 2)), [SQUARE], [(None,)]),
    "svd": (lambda x: ops.svd(x, compute_uv=False), [(None, 3, 2)], [(None, 2)]),
    "slice": (lambda x: ops.slice(x, (0, 1), (1, 2)), [ROWS], [(1, 2)]),
    "scan": (
        lambda x: ops.scan(lambda carry, row: (carry + row, carry), ops.zeros(4), x),
        [ROWS],
        [(4,), (None, 4)],
    ),
    "map": (lambda x: ops.map(ops.sum, x), [SQUARE], [(None,)]),
    "vectorized_map": (lambda x: ops.vectorized_map(ops.sum, x), [SQUARE], [(None,)]),
    "fft": (lambda x, y: ops.fft((x, y)), [ROWS, ROWS], [ROWS, ROWS]),
    "rfft": (ops.rfft, [ROWS], [(None, 3), (None, 3)]),
    "rearrange": (lambda x: ops.rearrange(x, "b h w c -> b (h w) c"), [IMAGE], [(None, 30, 3)]),
    "zeros_like": (ops.zeros_like, [ROWS], [ROWS]),
    "stop_gradient": (ops.stop_gradient, [ROWS], [ROWS]),
}


@pytest.mark.parametrize("name", CASES)
def test_shapes(name):
    function, inputs, expected = CASES[name]
    found = function(*(SymbolicTensor(shape) for shape in inputs))
    found = found if isinstance(found, tuple | list) else [found]
    assert [x.shape for x in found] == expected
    values = function(*(Tensor(ops.ones([5 if size is None else size for size in shape])) for shape in inputs))
    values = values if isinstance(values, tuple | list) else [values]
    for symbol, value in zip(found, values, strict=True):
        assert symbol.dtype == value.dtype
        assert len(symbol.shape) == value.ndim
        assert all(a is None or a == b for a, b in zip(symbol.shape, value.shape, strict=True))


def test_what_a_symbolic_tensor_is():
    x = SymbolicTensor((None, 4), "float64")
    assert (ops.shape(x), ops.ndim(x), ops.size(x), ops.dtype(x)) == ((None, 4), 2, None, "float64")
    assert not ops.is_tensor(x)
    assert ops.array(x) is x
    with pytest.raises(ValueError, match="no values"):
        ops.convert_to_numpy(x)


def test_submodules_draw_steps_too():
    x = SymbolicTensor((None, 3, 3))
    assert ops.linalg.det(x).shape == (None,)
    assert ops.numpy.sum(x, axis=1).shape == (None, 3)
    assert ops.core.cast(x, "int32").dtype == "int32"

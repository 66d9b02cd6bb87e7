"""Every name of ``keras.ops`` (Keras 3.15) for arrays, control and linear algebra is here, or said not to be."""

from __future__ import annotations

import importlib
import inspect

import pytest
from draws import words

from deepcore import ops

NUMPY = words("""
abs absolute add all allclose amax amin angle any append arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh
argmax argmin argpartition argsort array array_split average bartlett bincount bitwise_and bitwise_invert
bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor blackman broadcast_to cbrt ceil clip
concatenate conj conjugate copy corrcoef correlate cos cosh count_nonzero cross cumprod cumsum deg2rad diag diagflat
diagonal diff digitize divide divide_no_nan dot dsplit dstack einsum empty empty_like equal exp exp2 expand_dims expm1
eye fabs flip fliplr flipud floor floor_divide fmax fmin fmod full full_like gcd geomspace get_item greater
greater_equal hamming hanning heaviside histogram hsplit hstack hypot i0 identity imag inner isclose isfinite isin
isinf isnan isneginf isposinf isreal kaiser kron lcm ldexp left_shift less less_equal linspace log log10 log1p log2
logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logspace matmul max maximum mean median meshgrid
min minimum mod moveaxis multiply nan_to_num nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin
nanpercentile nanprod nanquantile nanstd nansum nanvar ndim negative nextafter nonzero not_equal ones ones_like outer
pad percentile power prod ptp quantile rad2deg ravel real reciprocal repeat reshape right_shift roll rot90 round
searchsorted select sign signbit sin sinc sinh size slogdet sort split sqrt square squeeze stack std subtract sum
swapaxes take take_along_axis tan tanh tensordot tile trace transpose trapezoid tri tril triu true_divide trunc unique
unravel_index vander var vdot vectorize view vsplit vstack where zeros zeros_like
""")

LINALG = words("""
cholesky cholesky_inverse det eig eigh inv jvp lstsq lu_factor matrix_rank norm pinv qr solve solve_triangular svd
""")

CORE = words("""
associative_scan cast cond convert_to_numpy convert_to_tensor custom_gradient dtype fori_loop is_tensor map
saturate_cast scan scatter scatter_update shape slice slice_update stop_gradient switch unstack vectorized_map
while_loop
""")

OTHERS = words("""
cdist extract_sequences fft fft2 ifft2 in_top_k irfft istft logdet logsumexp rearrange rfft rsqrt segment_max
segment_min segment_prod segment_sum stft top_k view_as_complex view_as_real
""")

NOT_HERE = {
    "eig": "its values are complex; ops.eigh serves symmetric matrices",
    "view_as_complex": "tensors are real; a complex one is a pair (real, imaginary), as ops.fft takes it",
    "view_as_real": "tensors are real; ops.stack(pair, -1) puts the two parts side by side",
}


@pytest.mark.parametrize("name", sorted({*NUMPY, *LINALG, *CORE, *OTHERS} - set(NOT_HERE)))
def test_is_offered(name):
    assert callable(getattr(ops, name)), name
    assert name in ops.__all__


@pytest.mark.parametrize("name", NOT_HERE)
def test_is_not_offered(name):
    assert not hasattr(ops, name)


@pytest.mark.parametrize(("module", "names"), [("numpy", NUMPY), ("linalg", LINALG), ("core", CORE)])
def test_submodules_offer_the_same_functions(module, names):
    found = importlib.import_module(f"deepcore.ops.{module}")
    offered = set(names) - set(NOT_HERE)
    for name in offered:
        assert getattr(found, name) is getattr(ops, name), name
    assert getattr(ops, module) is found
    assert offered <= set(dir(found))


def test_a_submodule_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'softmax'"):
        ops.numpy.softmax  # noqa: B018


# Keras's signatures where an argument is passed by name, or its default matters.
SIGNATURES = {
    "add": "(x1, x2)",
    "append": "(x1, x2, axis=None)",
    "arange": "(start, stop=None, step=None, dtype=None)",
    "argmax": "(x, axis=None, keepdims=False)",
    "argsort": "(x, axis=-1)",
    "associative_scan": "(f, elems, reverse=False, axis=0)",
    "average": "(x, axis=None, weights=None)",
    "bincount": "(x, weights=None, minlength=0, sparse=False)",
    "clip": "(x, x_min, x_max)",
    "concatenate": "(xs, axis=0)",
    "cross": "(x1, x2, axisa=-1, axisb=-1, axisc=-1, axis=None)",
    "cumsum": "(x, axis=None, dtype=None)",
    "diag": "(x, k=0)",
    "diagonal": "(x, offset=0, axis1=0, axis2=1)",
    "diff": "(a, n=1, axis=-1)",
    "eye": "(N, M=None, k=0, dtype=None)",
    "full": "(shape, fill_value, dtype=None)",
    "identity": "(n, dtype=None)",
    "isclose": "(x1, x2, rtol=1e-05, atol=1e-08, equal_nan=False)",
    "linspace": "(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0)",
    "logspace": "(start, stop, num=50, endpoint=True, base=10, dtype=None, axis=0)",
    "max": "(x, axis=None, keepdims=False, initial=None)",
    "moveaxis": "(x, source, destination)",
    "norm": "(x, ord=None, axis=None, keepdims=False)",
    "pad": "(x, pad_width, mode='constant', constant_values=None)",
    "prod": "(x, axis=None, keepdims=False, dtype=None)",
    "qr": "(x, mode='reduced')",
    "quantile": "(x, q, axis=None, method='linear', keepdims=False)",
    "repeat": "(x, repeats, axis=None)",
    "roll": "(x, shift, axis=None)",
    "rot90": "(array, k=1, axes=(0, 1))",
    "round": "(x, decimals=0)",
    "scan": "(f, init, xs=None, length=None, reverse=False, unroll=1)",
    "scatter_update": "(inputs, indices, updates, reduction=None)",
    "searchsorted": "(sorted_sequence, values, side='left')",
    "segment_sum": "(data, segment_ids, num_segments=None, sorted=False)",
    "select": "(condlist, choicelist, default=0)",
    "split": "(x, indices_or_sections, axis=0)",
    "stack": "(x, axis=0)",
    "stft": "(x, sequence_length, sequence_stride, fft_length, window='hann', center=True)",
    "svd": "(x, full_matrices=True, compute_uv=True)",
    "take": "(x, indices, axis=None)",
    "take_along_axis": "(x, indices, axis=None)",
    "tensordot": "(x1, x2, axes=2)",
    "top_k": "(x, k, sorted=True)",
    "trapezoid": "(y, x=None, dx=1.0, axis=-1)",
    "unstack": "(x, num=None, axis=0)",
    "where": "(condition, x1=None, x2=None)",
    "while_loop": "(cond, body, loop_vars, maximum_iterations=None)",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature(name):
    found = inspect.signature(getattr(ops, name))
    plain = found.replace(
        parameters=[p.replace(annotation=p.empty) for p in found.parameters.values()],
        return_annotation=found.empty,
    )
    assert str(plain) == SIGNATURES[name]

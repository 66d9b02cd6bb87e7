"""Batch, layer and local response normalisation; channels last."""

from __future__ import annotations

import numpy as np

from deepcore.backend.dispatch import Call, choose_for, implementation
from deepcore.backend.geometry import RowsGeometry
from deepcore.backend.numpy.cost import loop_cost, numpy_cost
from deepcore.backend.numpy.half import computed_in_float32
from deepcore.backend.numpy.loops import loop, numba_available
from deepcore.backend.numpy.memory import empty
from deepcore.backend.numpy.rows import as_rows, blocks, chunk_rows, quiet, repeat, sum_rows, widen

__all__ = [
    "batch_norm_dgrad",
    "batch_norm_fprop",
    "batch_norm_inference",
    "layer_norm_dgrad",
    "layer_norm_fprop",
    "local_response_norm_dgrad",
    "local_response_norm_fprop",
]


@computed_in_float32(1, 2)
def batch_norm_fprop(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalises every channel by the statistics of the batch (Ioffe and Szegedy 2015).

    Args:
        x: [..., channels]; float16 and bfloat16 are computed in float32.
        gamma, beta: [channels], scale and shift; best float32 where x has 16 bits, to which others are converted.
        epsilon: added to the variance.

    Returns:
        (y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, mean [channels], variance [channels]); the variance
        is the biased one, divided by the number of elements of a channel. y has the dtype of ``x``; mean and variance
        have too, but are float32 where ``x`` has 16 bits, as cuDNN's and Keras's are.
    """
    record = choose_for("batch_norm_fprop", x.dtype, RowsGeometry.of, x.shape)
    return record.function(x, gamma, beta, epsilon)


@computed_in_float32(1, 2)
def batch_norm_dgrad(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, mean: np.ndarray, variance: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of ``batch_norm_fprop``, through the statistics too.

    With n elements a channel and h = (x - mean) / sqrt(variance + epsilon):
    dbeta = sum(dy), dgamma = sum(dy * h), dx = gamma / sqrt(variance + epsilon) * (dy - dbeta / n - h * dgamma / n).

    Returns:
        (dx [..., channels], dgamma [channels], dbeta [channels]); the last two are float32 where ``x`` has 16 bits.
    """
    record = choose_for("batch_norm_dgrad", x.dtype, RowsGeometry.of, x.shape)
    return record.function(dy, x, gamma, mean, variance, epsilon)


@computed_in_float32()
def batch_norm_inference(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray, epsilon: float
) -> np.ndarray:
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` with given statistics [channels]; x [..., channels]."""
    record = choose_for("batch_norm_inference", x.dtype, RowsGeometry.of, x.shape)
    return record.function(x, gamma, beta, mean, variance, epsilon)


@computed_in_float32(1, 2)
def layer_norm_fprop(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalises over the last axis (Ba, Kiros and Hinton 2016).

    Args:
        x: [..., columns].
        gamma, beta: [columns].
        epsilon: added to the biased variance.

    Returns:
        (y [..., columns], mean [...], rstd [...] = 1 / sqrt(variance + epsilon)); the last two are float32 where ``x``
        has 16 bits.
    """
    record = choose_for("layer_norm_fprop", x.dtype, RowsGeometry.of, x.shape)
    return record.function(x, gamma, beta, epsilon)


@computed_in_float32(1, 2)
def layer_norm_dgrad(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, mean: np.ndarray, rstd: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of ``layer_norm_fprop``.

    With n columns, h = (x - mean) * rstd and g = dy * gamma:
    dx = rstd * (g - mean(g) - h * mean(g * h)), dgamma = sum(dy * h), dbeta = sum(dy) over all axes but the last.

    Returns:
        (dx [..., columns], dgamma [columns], dbeta [columns]); the last two are float32 where ``x`` has 16 bits.
    """
    record = choose_for("layer_norm_dgrad", x.dtype, RowsGeometry.of, x.shape)
    return record.function(dy, x, gamma, mean, rstd)


@computed_in_float32(1)
def local_response_norm_fprop(
    x: np.ndarray, depth_radius: int, bias: float, alpha: float, beta: float
) -> tuple[np.ndarray, np.ndarray]:
    """Normalises by the neighbouring channels (Krizhevsky et al. 2012, in TensorFlow's definition).

    Args:
        x: [..., channels].
        depth_radius: channels on either side that count.
        bias, alpha, beta: of ``scale = bias + alpha * sum(x_i ** 2 for |i - c| <= depth_radius)``.

    Returns:
        (y = x * scale ** -beta, scale), both of the shape of ``x``; scale is float32 where ``x`` has 16 bits.
    """
    record = choose_for("local_response_norm_fprop", x.dtype, RowsGeometry.of, x.shape)
    return record.function(x, depth_radius, bias, alpha, beta)


@computed_in_float32()
def local_response_norm_dgrad(
    dy: np.ndarray, x: np.ndarray, scale: np.ndarray, depth_radius: int, alpha: float, beta: float
) -> np.ndarray:
    """The gradient at the input of ``local_response_norm_fprop``, which gave ``scale``.

    dx_c = dy_c * scale_c ** -beta - 2 * alpha * beta * x_c * sum(dy_i * x_i * scale_i ** (-beta - 1)) over
    |i - c| <= depth_radius.
    """
    record = choose_for("local_response_norm_dgrad", x.dtype, RowsGeometry.of, x.shape)
    return record.function(dy, x, scale, depth_radius, alpha, beta)


def _reciprocal_deviation(variance: np.ndarray, epsilon: float) -> np.ndarray:
    with quiet():
        return 1 / np.sqrt(variance + variance.dtype.type(epsilon))


def _tile(vector: np.ndarray, length: int) -> np.ndarray:
    return repeat(vector, length // vector.size)


def _untile_sum(vector: np.ndarray, columns: int) -> np.ndarray:
    return vector.reshape(-1, columns).sum(axis=0)


# NumPy. Narrow rows are treated several at a time (``widen``), and the passes over a block stay in cache.


@implementation("batch_norm_fprop", "numpy", cost=lambda call: numpy_cost(call, passes=8, calls=25))
def _batch_norm_fprop_numpy(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = as_rows(x)
    count = x.dtype.type(rows.shape[0])
    y = empty(x.shape, x.dtype)
    with quiet():
        mean = sum_rows(rows) / count
        wide, wide_mean = widen(rows, mean)
        out = y.reshape(wide.shape)
        squares = []
        for block in blocks(wide.shape[0], wide.strides[0]):
            deviation = np.subtract(wide[block], wide_mean, out=out[block])
            squares.append(sum_rows(deviation * deviation))
        variance = _untile_sum(sum_rows(np.stack(squares)), rows.shape[1]) / count
        scale = _tile(gamma * _reciprocal_deviation(variance, epsilon), wide.shape[1])
        shift = _tile(beta, wide.shape[1])
        for block in blocks(wide.shape[0], wide.strides[0]):
            out[block] *= scale
            out[block] += shift
    return y, mean, variance


@implementation("batch_norm_dgrad", "numpy", cost=lambda call: numpy_cost(call, passes=12, calls=30))
def _batch_norm_dgrad_numpy(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, mean: np.ndarray, variance: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rstd = _reciprocal_deviation(variance, epsilon)
    rows = as_rows(x)
    count = x.dtype.type(rows.shape[0])
    wide, wide_mean, wide_rstd = widen(rows, mean, rstd)
    wide_dy = as_rows(dy).reshape(wide.shape)
    dx = empty(x.shape, x.dtype)
    out = dx.reshape(wide.shape)
    with quiet():
        dbeta = sum_rows(as_rows(dy))
        products = []
        for block in blocks(wide.shape[0], wide.strides[0]):
            normalised = np.subtract(wide[block], wide_mean, out=out[block])
            normalised *= wide_rstd
            products.append(sum_rows(normalised * wide_dy[block]))
        dgamma = _untile_sum(sum_rows(np.stack(products)), rows.shape[1])
        mean_product, mean_dy = _tile(dgamma / count, wide.shape[1]), _tile(dbeta / count, wide.shape[1])
        scale = _tile(gamma * rstd, wide.shape[1])
        for block in blocks(wide.shape[0], wide.strides[0]):
            part = out[block]
            part *= mean_product
            np.subtract(wide_dy[block], part, out=part)
            part -= mean_dy
            part *= scale
    return dx, dgamma, dbeta


@implementation("batch_norm_inference", "numpy", cost=lambda call: numpy_cost(call, passes=4, calls=12))
def _batch_norm_inference_numpy(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray, epsilon: float
) -> np.ndarray:
    y = empty(x.shape, x.dtype)
    with quiet():
        scale = gamma * _reciprocal_deviation(variance, epsilon)
        wide, mean, scale, beta = widen(as_rows(x), mean, scale, beta)
        out = y.reshape(wide.shape)
        for block in blocks(wide.shape[0], wide.strides[0]):
            part = np.subtract(wide[block], mean, out=out[block])
            part *= scale
            part += beta
    return y


@implementation("layer_norm_fprop", "numpy", cost=lambda call: numpy_cost(call, passes=8, calls=12))
def _layer_norm_fprop_numpy(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = as_rows(x)
    count, epsilon = x.dtype.type(rows.shape[1]), x.dtype.type(epsilon)
    y, mean, rstd = empty(x.shape, x.dtype), np.empty(x.shape[:-1], x.dtype), np.empty(x.shape[:-1], x.dtype)
    out, row_mean, row_rstd = y.reshape(rows.shape), mean.reshape(-1, 1), rstd.reshape(-1, 1)
    with quiet():
        for block in blocks(rows.shape[0], rows.strides[0]):
            row_mean[block] = rows[block].sum(axis=1, keepdims=True) / count
            part = np.subtract(rows[block], row_mean[block], out=out[block])
            variance = (part * part).sum(axis=1, keepdims=True) / count
            row_rstd[block] = 1 / np.sqrt(variance + epsilon)
            part *= row_rstd[block]
            part *= gamma
            part += beta
    return y, mean, rstd


@implementation("layer_norm_dgrad", "numpy", cost=lambda call: numpy_cost(call, passes=14, calls=25))
def _layer_norm_dgrad_numpy(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, mean: np.ndarray, rstd: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows, dy_rows = as_rows(x), as_rows(dy)
    count = x.dtype.type(rows.shape[1])
    row_mean, row_rstd = mean.reshape(-1, 1), rstd.reshape(-1, 1)
    dx = empty(x.shape, x.dtype)
    out = dx.reshape(rows.shape)
    products = []
    with quiet():
        for block in blocks(rows.shape[0], rows.strides[0]):
            h = rows[block] - row_mean[block]
            h *= row_rstd[block]
            products.append(sum_rows(h * dy_rows[block]))
            g = np.multiply(dy_rows[block], gamma, out=out[block])
            mean_g = g.sum(axis=1, keepdims=True) / count
            h *= (g * h).sum(axis=1, keepdims=True) / count
            g -= mean_g
            g -= h
            g *= row_rstd[block]
        return dx, sum_rows(np.stack(products)), sum_rows(dy_rows)


def _add_neighbours(source: np.ndarray, depth_radius: int, target: np.ndarray) -> None:
    """target[:, c] = sum of source[:, i] for |i - c| <= depth_radius."""
    columns = source.shape[1]
    np.copyto(target, source)
    for offset in range(1, min(depth_radius, columns - 1) + 1):
        target[:, offset:] += source[:, : columns - offset]
        target[:, : columns - offset] += source[:, offset:]


def _inverse_power(scale: np.ndarray, beta: float) -> np.ndarray:
    if beta == 0.75:  # AlexNet's, and a tenth of the time of a general power
        root = np.sqrt(scale)
        return 1 / (root * np.sqrt(root))
    return np.power(scale, scale.dtype.type(-beta))


@implementation("local_response_norm_fprop", "numpy", cost=lambda call: numpy_cost(call, passes=20, calls=20))
def _local_response_norm_fprop_numpy(
    x: np.ndarray, depth_radius: int, bias: float, alpha: float, beta: float
) -> tuple[np.ndarray, np.ndarray]:
    rows = as_rows(x)
    y, scale = empty(x.shape, x.dtype), empty(x.shape, x.dtype)
    out, scales = y.reshape(rows.shape), scale.reshape(rows.shape)
    with quiet():
        for block in blocks(rows.shape[0], rows.strides[0]):
            part = scales[block]
            _add_neighbours(rows[block] * rows[block], depth_radius, part)
            part *= x.dtype.type(alpha)
            part += x.dtype.type(bias)
            np.multiply(rows[block], _inverse_power(part, beta), out=out[block])
    return y, scale


@implementation("local_response_norm_dgrad", "numpy", cost=lambda call: numpy_cost(call, passes=24, calls=24))
def _local_response_norm_dgrad_numpy(
    dy: np.ndarray, x: np.ndarray, scale: np.ndarray, depth_radius: int, alpha: float, beta: float
) -> np.ndarray:
    rows, dy_rows, scales = as_rows(x), as_rows(dy), as_rows(scale)
    dx = empty(x.shape, x.dtype)
    out = dx.reshape(rows.shape)
    with quiet():
        for block in blocks(rows.shape[0], rows.strides[0]):
            direct = _inverse_power(scales[block], beta)
            direct *= dy_rows[block]
            part = out[block]
            _add_neighbours(direct * rows[block] / scales[block], depth_radius, part)
            part *= rows[block]
            part *= x.dtype.type(-2 * alpha * beta)
            part += direct
    return dx


# Numba. A chunk of rows gives its own mean and sum of squared deviations while it is in cache, and the chunks are
# joined by the parallel formula of Chan, Golub and LeVeque 1979: one pass over memory, no cancellation.


def _partials(wide: np.ndarray, count: int) -> tuple[int, list[np.ndarray]]:
    chunk = chunk_rows(wide.shape[0])
    shape = (-(-wide.shape[0] // chunk), wide.shape[1])
    return chunk, [np.zeros(shape, wide.dtype) for _ in range(count)]


@implementation("batch_norm_fprop", "numba", cost=lambda call: 2 * loop_cost(call, passes=2), available=numba_available)
def _batch_norm_fprop_numba(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = x.shape[-1]
    (wide,) = widen(as_rows(x))
    chunk, (means, squares) = _partials(wide, 2)
    loop("norm", "chunk_statistics", 2 * x.size)(wide, chunk, means, squares)
    lengths = np.full((len(means), 1), chunk, x.dtype)
    lengths[-1] = wide.shape[0] - (len(means) - 1) * chunk
    means, squares = means.reshape(-1, columns), squares.reshape(-1, columns)
    lengths = np.repeat(lengths, wide.shape[1] // columns, axis=0)
    count = x.dtype.type(wide.size // columns)
    with quiet():
        mean = sum_rows(means * (lengths / count))
        variance = (sum_rows(squares) + sum_rows(lengths * (means - mean) ** 2)) / count
    return _batch_norm_inference_numba(x, gamma, beta, mean, variance, epsilon), mean, variance


@implementation("batch_norm_inference", "numba", cost=lambda call: loop_cost(call, passes=2), available=numba_available)
def _batch_norm_inference_numba(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray, epsilon: float
) -> np.ndarray:
    scale = gamma * _reciprocal_deviation(variance, epsilon)
    wide, mean, scale, beta = widen(as_rows(x), mean, scale, beta)
    y = empty(x.shape, x.dtype)
    loop("norm", "normalise", 2 * x.size)(wide, mean, scale, beta, y.reshape(wide.shape))
    return y


@implementation(
    "batch_norm_dgrad", "numba", cost=lambda call: 2 * loop_cost(call, passes=2.5), available=numba_available
)
def _batch_norm_dgrad_numba(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, mean: np.ndarray, variance: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = x.shape[-1]
    rstd = _reciprocal_deviation(variance, epsilon)
    wide, wide_mean, wide_rstd = widen(as_rows(x), mean, rstd)
    wide_dy = as_rows(dy).reshape(wide.shape)
    chunk, (gammas, betas) = _partials(wide, 2)
    loop("norm", "batch_norm_sums", 2 * x.size)(wide_dy, wide, wide_mean, wide_rstd, chunk, gammas, betas)
    dx = empty(x.shape, x.dtype)
    with quiet():
        dgamma, dbeta = (sum_rows(part.reshape(-1, columns)) for part in (gammas, betas))
        count = x.dtype.type(wide.size // columns)
        vectors = (dgamma / count, dbeta / count, gamma * rstd)
    loop("norm", "batch_norm_dgrad", 3 * x.size)(
        wide_dy, wide, wide_mean, wide_rstd, *(_tile(v, wide.shape[1]) for v in vectors), dx.reshape(wide.shape)
    )
    return dx, dgamma, dbeta


@implementation("layer_norm_fprop", "numba", cost=lambda call: loop_cost(call, passes=3), available=numba_available)
def _layer_norm_fprop_numba(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = as_rows(x)
    y, mean, rstd = empty(x.shape, x.dtype), np.empty(x.shape[:-1], x.dtype), np.empty(x.shape[:-1], x.dtype)
    loop("norm", "layer_norm_fprop", 3 * x.size)(
        rows, gamma, beta, x.dtype.type(epsilon), y.reshape(rows.shape), mean.reshape(-1), rstd.reshape(-1)
    )
    return y, mean, rstd


@implementation("layer_norm_dgrad", "numba", cost=lambda call: loop_cost(call, passes=5), available=numba_available)
def _layer_norm_dgrad_numba(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, mean: np.ndarray, rstd: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = as_rows(x)
    dx = empty(x.shape, x.dtype)
    chunk, (gammas, betas) = _partials(rows, 2)
    loop("norm", "layer_norm_dgrad", 5 * x.size)(
        as_rows(dy), rows, gamma, mean.reshape(-1), rstd.reshape(-1), chunk, dx.reshape(rows.shape), gammas, betas
    )
    return dx, sum_rows(gammas), sum_rows(betas)


def _local_response_loop_cost(call: Call) -> float:
    return loop_cost(call, passes=8)


@implementation("local_response_norm_fprop", "numba", cost=_local_response_loop_cost, available=numba_available)
def _local_response_norm_fprop_numba(
    x: np.ndarray, depth_radius: int, bias: float, alpha: float, beta: float
) -> tuple[np.ndarray, np.ndarray]:
    rows = as_rows(x)
    y, scale = empty(x.shape, x.dtype), empty(x.shape, x.dtype)
    cast = x.dtype.type
    loop("norm", "local_response_norm_fprop", 8 * x.size)(
        rows, depth_radius, cast(bias), cast(alpha), cast(beta), y.reshape(rows.shape), scale.reshape(rows.shape)
    )
    return y, scale


@implementation("local_response_norm_dgrad", "numba", cost=_local_response_loop_cost, available=numba_available)
def _local_response_norm_dgrad_numba(
    dy: np.ndarray, x: np.ndarray, scale: np.ndarray, depth_radius: int, alpha: float, beta: float
) -> np.ndarray:
    rows, dx = as_rows(x), empty(x.shape, x.dtype)
    cast = x.dtype.type
    scratch = np.empty(rows.shape, x.dtype)
    loop("norm", "local_response_norm_dgrad", 8 * x.size)(
        as_rows(dy), rows, as_rows(scale), depth_radius, cast(alpha), cast(beta), scratch, dx.reshape(rows.shape)
    )
    return dx

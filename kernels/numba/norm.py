"""Batch, layer and local response normalisation: loops over rows, channels innermost."""

from __future__ import annotations

import math

from deepcore.kernels.numba.jit import inline, parallel, part_of


@inline
def chunk_statistics_of(x, first, last, means, squares, part):
    """Mean and sum of squared deviations of x[first:last], in two passes over a chunk that the cache holds."""
    for row in range(first, last):
        for column in range(x.shape[1]):
            means[part, column] += x[row, column]
    count = type(x[0, 0])(last - first)
    for column in range(x.shape[1]):
        means[part, column] /= count
    for row in range(first, last):
        for column in range(x.shape[1]):
            deviation = x[row, column] - means[part, column]
            squares[part, column] += deviation * deviation


@parallel
def chunk_statistics(piece, x, chunk, means, squares):
    """means and squares [chunks, columns], zeros, get the statistics of every ``chunk`` rows of x [rows, columns]."""
    for part in part_of(piece, means.shape[0]):
        chunk_statistics_of(x, part * chunk, min((part + 1) * chunk, x.shape[0]), means, squares, part)


@parallel
def normalise(piece, x, mean, scale, shift, y):
    """y = (x - mean) * scale + shift for x, y [rows, columns] and vectors [columns]."""
    for row in part_of(piece, x.shape[0]):
        for column in range(x.shape[1]):
            y[row, column] = (x[row, column] - mean[column]) * scale[column] + shift[column]


@inline
def batch_norm_sums_of(dy, x, mean, rstd, row, gammas, betas, part):
    for column in range(x.shape[1]):
        gammas[part, column] += dy[row, column] * ((x[row, column] - mean[column]) * rstd[column])
        betas[part, column] += dy[row, column]


@parallel
def batch_norm_sums(piece, dy, x, mean, rstd, chunk, gammas, betas):
    """gammas and betas [chunks, columns], zeros, get the sums of dy * h and dy over every ``chunk`` rows."""
    for part in part_of(piece, gammas.shape[0]):
        for row in range(part * chunk, min((part + 1) * chunk, x.shape[0])):
            batch_norm_sums_of(dy, x, mean, rstd, row, gammas, betas, part)


@parallel
def batch_norm_dgrad(piece, dy, x, mean, rstd, mean_product, mean_dy, scale, dx):
    """dx = scale * (dy - mean_dy - h * mean_product) with h = (x - mean) * rstd; vectors [columns]."""
    for row in part_of(piece, x.shape[0]):
        for column in range(x.shape[1]):
            h = (x[row, column] - mean[column]) * rstd[column]
            dx[row, column] = scale[column] * (dy[row, column] - mean_dy[column] - h * mean_product[column])


@inline
def layer_norm_row(x, gamma, beta, epsilon, y, mean, rstd, row):
    count = type(epsilon)(x.shape[1])
    total = type(epsilon)(0)
    for column in range(x.shape[1]):
        total += x[row, column]
    center = total / count
    squares = type(epsilon)(0)
    for column in range(x.shape[1]):
        deviation = x[row, column] - center
        squares += deviation * deviation
    scale = type(epsilon)(1) / math.sqrt(squares / count + epsilon)
    for column in range(x.shape[1]):
        y[row, column] = (x[row, column] - center) * scale * gamma[column] + beta[column]
    mean[row] = center
    rstd[row] = scale


@parallel
def layer_norm_fprop(piece, x, gamma, beta, epsilon, y, mean, rstd):
    """y [rows, columns], mean [rows] and rstd [rows] of x [rows, columns]."""
    for row in part_of(piece, x.shape[0]):
        layer_norm_row(x, gamma, beta, epsilon, y, mean, rstd, row)


@inline
def layer_norm_dgrad_row(dy, x, gamma, mean, rstd, row, dx, gammas, betas, part):
    center = mean[row]
    scale = rstd[row]
    count = type(center)(x.shape[1])
    sum_g = type(center)(0)
    sum_gh = type(center)(0)
    for column in range(x.shape[1]):
        g = dy[row, column] * gamma[column]
        sum_g += g
        sum_gh += g * ((x[row, column] - center) * scale)
    mean_g = sum_g / count
    mean_gh = sum_gh / count
    for column in range(x.shape[1]):
        h = (x[row, column] - center) * scale
        dx[row, column] = scale * (dy[row, column] * gamma[column] - mean_g - h * mean_gh)
        gammas[part, column] += dy[row, column] * h
        betas[part, column] += dy[row, column]


@parallel
def layer_norm_dgrad(piece, dy, x, gamma, mean, rstd, chunk, dx, gammas, betas):
    """dx [rows, columns]; gammas and betas [chunks, columns], zeros, get the sums over every ``chunk`` rows."""
    for part in part_of(piece, gammas.shape[0]):
        for row in range(part * chunk, min((part + 1) * chunk, x.shape[0])):
            layer_norm_dgrad_row(dy, x, gamma, mean, rstd, row, dx, gammas, betas, part)


@inline
def multiply_by_inverse_power(x, scale, beta, y, row):
    """y = x * scale**-beta, one row."""
    if beta == 0.75:  # AlexNet's: two square roots instead of a power
        for column in range(x.shape[1]):
            root = math.sqrt(scale[row, column])
            y[row, column] = x[row, column] / (root * math.sqrt(root))
    else:
        for column in range(x.shape[1]):
            y[row, column] = x[row, column] * scale[row, column] ** -beta


@inline
def add_squares(x, factor, total):
    for column in range(total.shape[0]):
        total[column] += factor * x[column] * x[column]


@inline
def add_products(x, y, total):
    for column in range(total.shape[0]):
        total[column] += x[column] * y[column]


# Neighbours are reached through shifted views: an index such as ``column - offset`` could be negative for all the
# compiler knows, and the check for that would keep the loop from vectorising.


@inline
def local_response_norm_row(x, depth_radius, bias, alpha, beta, y, scale, row):
    columns = x.shape[1]
    for column in range(columns):
        scale[row, column] = bias + alpha * x[row, column] * x[row, column]
    for offset in range(1, min(depth_radius + 1, columns)):
        add_squares(x[row, offset:], alpha, scale[row, : columns - offset])
        add_squares(x[row, : columns - offset], alpha, scale[row, offset:])
    multiply_by_inverse_power(x, scale, beta, y, row)


@parallel
def local_response_norm_fprop(piece, x, depth_radius, bias, alpha, beta, y, scale):
    """y and scale [rows, columns] of x [rows, columns]."""
    for row in part_of(piece, x.shape[0]):
        local_response_norm_row(x, depth_radius, bias, alpha, beta, y, scale, row)


@inline
def local_response_norm_dgrad_row(dy, x, scale, depth_radius, alpha, beta, scratch, dx, row):
    columns = x.shape[1]
    factor = type(alpha)(-2) * alpha * beta
    multiply_by_inverse_power(dy, scale, beta, dx, row)
    for column in range(columns):
        scratch[row, column] = dx[row, column] * x[row, column] / scale[row, column] * factor
    for column in range(columns):
        dx[row, column] += x[row, column] * scratch[row, column]
    for offset in range(1, min(depth_radius + 1, columns)):
        add_products(x[row, : columns - offset], scratch[row, offset:], dx[row, : columns - offset])
        add_products(x[row, offset:], scratch[row, : columns - offset], dx[row, offset:])


@parallel
def local_response_norm_dgrad(piece, dy, x, scale, depth_radius, alpha, beta, scratch, dx):
    """dx of x, dy and scale, with a scratch array, all [rows, columns]."""
    for row in part_of(piece, x.shape[0]):
        local_response_norm_dgrad_row(dy, x, scale, depth_radius, alpha, beta, scratch, dx, row)

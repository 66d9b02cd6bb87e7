"""Softmax, its logarithm and cross-entropy: one row at a time, so that a row is read from memory once."""

from __future__ import annotations

import math

from deepcore.kernels.numba.elementary import difference, exp
from deepcore.kernels.numba.jit import inline, parallel, part_of


@inline
def row_max(x, row):
    largest = x[row, 0]
    for column in range(1, x.shape[1]):
        largest = x[row, column] if x[row, column] > largest else largest
    return largest


@inline
def softmax_row(x, y, row, largest):
    """Writes the softmax of a row and returns the sum of its exponentials."""
    total = type(largest)(0)
    for column in range(x.shape[1]):
        y[row, column] = exp(difference(x[row, column], largest))
        total += y[row, column]
    scale = type(largest)(1) / total
    for column in range(x.shape[1]):
        y[row, column] *= scale
    return total


@parallel
def softmax_fprop(piece, x, y):
    """y = softmax(x), both [rows, classes]."""
    for row in part_of(piece, x.shape[0]):
        softmax_row(x, y, row, row_max(x, row))


@inline
def softmax_dgrad_row(dy, y, dx, row):
    dot = type(y[row, 0])(0)
    for column in range(y.shape[1]):
        dot += dy[row, column] * y[row, column]
    for column in range(y.shape[1]):
        dx[row, column] = y[row, column] * (dy[row, column] - dot)


@parallel
def softmax_dgrad(piece, dy, y, dx):
    """dx = y * (dy - sum(dy * y)), all [rows, classes]."""
    for row in part_of(piece, y.shape[0]):
        softmax_dgrad_row(dy, y, dx, row)


@inline
def log_softmax_row(x, y, row, largest):
    total = type(largest)(0)
    for column in range(x.shape[1]):
        total += exp(difference(x[row, column], largest))
    shift = math.log(total)
    for column in range(x.shape[1]):
        y[row, column] = difference(difference(x[row, column], largest), shift)


@parallel
def log_softmax_fprop(piece, x, y):
    """y = log(softmax(x)), both [rows, classes]."""
    for row in part_of(piece, x.shape[0]):
        log_softmax_row(x, y, row, row_max(x, row))


@inline
def log_softmax_dgrad_row(dy, y, dx, row):
    total = type(y[row, 0])(0)
    for column in range(y.shape[1]):
        total += dy[row, column]
    for column in range(y.shape[1]):
        dx[row, column] = dy[row, column] - exp(y[row, column]) * total


@parallel
def log_softmax_dgrad(piece, dy, y, dx):
    """dx = dy - exp(y) * sum(dy), all [rows, classes]."""
    for row in part_of(piece, y.shape[0]):
        log_softmax_dgrad_row(dy, y, dx, row)


@parallel
def cross_entropy_of_classes_fprop(piece, logits, targets, loss, probabilities):
    """loss [rows] and probabilities [rows, classes] of logits [rows, classes] for integer targets [rows]."""
    for row in part_of(piece, logits.shape[0]):
        largest = row_max(logits, row)
        total = softmax_row(logits, probabilities, row, largest)
        loss[row] = difference(math.log(total), difference(logits[row, targets[row]], largest))


@inline
def weighted_loss(logits, targets, row, largest, log_total):
    total = type(largest)(0)
    for column in range(logits.shape[1]):
        total += targets[row, column] * difference(log_total, difference(logits[row, column], largest))
    return total


@parallel
def cross_entropy_of_weights_fprop(piece, logits, targets, loss, probabilities):
    """The same for floating targets [rows, classes]."""
    for row in part_of(piece, logits.shape[0]):
        largest = row_max(logits, row)
        total = softmax_row(logits, probabilities, row, largest)
        loss[row] = weighted_loss(logits, targets, row, largest, math.log(total))


@inline
def cross_entropy_of_classes_dgrad_row(dloss, probabilities, targets, dlogits, row):
    for column in range(probabilities.shape[1]):
        dlogits[row, column] = dloss[row] * probabilities[row, column]
    # Not a subtraction from the product: p - 1 is exact near p = 1.
    target = targets[row]
    dlogits[row, target] = dloss[row] * (probabilities[row, target] - type(dloss[row])(1))


@parallel
def cross_entropy_of_classes_dgrad(piece, dloss, probabilities, targets, dlogits):
    """dlogits = dloss * (probabilities - one_hot(targets))."""
    for row in part_of(piece, probabilities.shape[0]):
        cross_entropy_of_classes_dgrad_row(dloss, probabilities, targets, dlogits, row)


@inline
def cross_entropy_of_weights_dgrad_row(dloss, probabilities, targets, dlogits, row):
    total = type(dloss[row])(0)
    for column in range(probabilities.shape[1]):
        total += targets[row, column]
    for column in range(probabilities.shape[1]):
        dlogits[row, column] = dloss[row] * (probabilities[row, column] * total - targets[row, column])


@parallel
def cross_entropy_of_weights_dgrad(piece, dloss, probabilities, targets, dlogits):
    """dlogits = dloss * (probabilities * sum(targets) - targets)."""
    for row in part_of(piece, probabilities.shape[0]):
        cross_entropy_of_weights_dgrad_row(dloss, probabilities, targets, dlogits, row)

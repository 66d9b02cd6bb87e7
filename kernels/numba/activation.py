"""Bias and activation: forward, and the gradient with the bias's column sums, each in one pass over memory.

A body makes the columns from ``first`` to ``last`` of a row: all of them for a core, a single one for a GPU's thread.
"""

from __future__ import annotations

from deepcore.kernels.numba.elementary import exp, expm1, log1p_of_fraction, sigmoid, tanh
from deepcore.kernels.numba.jit import inline, parallel, part_of

# The order of deepcore.backend.numpy.activation.ACTIVATIONS: a loop is told its activation by position.
LINEAR, RELU, RELU6, LEAKY_RELU, ELU, SELU, SIGMOID, HARD_SIGMOID, TANH, EXPONENTIAL, SOFTPLUS = range(11)

LEAKY_RELU_SLOPE = 0.2
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


@inline
def linear(z):
    return z


@inline
def relu(z):
    return type(z)(0) if z < 0 else z


@inline
def relu6(z):
    low = type(z)(0) if z < 0 else z
    return type(z)(6) if low > 6 else low


@inline
def leaky_relu(z):
    return z * type(z)(LEAKY_RELU_SLOPE) if z < 0 else z


@inline
def elu(z):
    low = expm1(type(z)(0) if z > 0 else z)
    return z if z > 0 else low


@inline
def selu(z):
    low = type(z)(SELU_ALPHA) * expm1(type(z)(0) if z > 0 else z)
    return type(z)(SELU_SCALE) * (z if z > 0 else low)


@inline
def hard_sigmoid(z):
    return relu6(z + type(z)(3)) / type(z)(6)


@inline
def softplus(z):
    return (type(z)(0) if z < 0 else z) + log1p_of_fraction(exp(-abs(z)))


@inline
def relu_dgrad(dy, y):
    return type(y)(0) if y <= 0 else dy


@inline
def relu6_dgrad(dy, y):
    return type(y)(0) if y <= 0 or y >= 6 else dy


@inline
def leaky_relu_dgrad(dy, y):
    return dy * type(y)(LEAKY_RELU_SLOPE) if y <= 0 else dy


@inline
def elu_dgrad(dy, y):
    return dy if y > 0 else dy * (y + type(y)(1))


@inline
def selu_dgrad(dy, y):
    return dy * (type(y)(SELU_SCALE) if y > 0 else y + type(y)(SELU_SCALE * SELU_ALPHA))


@inline
def sigmoid_dgrad(dy, y):
    return dy * (y * (type(y)(1) - y))


@inline
def hard_sigmoid_dgrad(dy, y):
    return type(y)(0) if y <= 0 or y >= 1 else dy / type(y)(6)


@inline
def tanh_dgrad(dy, y):
    return dy * (type(y)(1) - y * y)


@inline
def exponential_dgrad(dy, y):
    return dy * y


@inline
def softplus_dgrad(dy, y):
    return -dy * expm1(-y)


@inline
def bias_activation_row(x, bias, y, activation, row, first, last):
    if activation == LINEAR:
        for column in range(first, last):
            y[row, column] = linear(x[row, column] + bias[column])
    elif activation == RELU:
        for column in range(first, last):
            y[row, column] = relu(x[row, column] + bias[column])
    elif activation == RELU6:
        for column in range(first, last):
            y[row, column] = relu6(x[row, column] + bias[column])
    elif activation == LEAKY_RELU:
        for column in range(first, last):
            y[row, column] = leaky_relu(x[row, column] + bias[column])
    elif activation == ELU:
        for column in range(first, last):
            y[row, column] = elu(x[row, column] + bias[column])
    elif activation == SELU:
        for column in range(first, last):
            y[row, column] = selu(x[row, column] + bias[column])
    elif activation == SIGMOID:
        for column in range(first, last):
            y[row, column] = sigmoid(x[row, column] + bias[column])
    elif activation == HARD_SIGMOID:
        for column in range(first, last):
            y[row, column] = hard_sigmoid(x[row, column] + bias[column])
    elif activation == TANH:
        for column in range(first, last):
            y[row, column] = tanh(x[row, column] + bias[column])
    elif activation == EXPONENTIAL:
        for column in range(first, last):
            y[row, column] = exp(x[row, column] + bias[column])
    elif activation == SOFTPLUS:
        for column in range(first, last):
            y[row, column] = softplus(x[row, column] + bias[column])


@inline
def activation_dgrad_row(dy, y, dz, activation, scale, row, first, last):
    if activation == LINEAR:
        for column in range(first, last):
            dz[row, column] = scale * dy[row, column]
    elif activation == RELU:
        for column in range(first, last):
            dz[row, column] = relu_dgrad(scale * dy[row, column], y[row, column])
    elif activation == RELU6:
        for column in range(first, last):
            dz[row, column] = relu6_dgrad(scale * dy[row, column], y[row, column])
    elif activation == LEAKY_RELU:
        for column in range(first, last):
            dz[row, column] = leaky_relu_dgrad(scale * dy[row, column], y[row, column])
    elif activation == ELU:
        for column in range(first, last):
            dz[row, column] = elu_dgrad(scale * dy[row, column], y[row, column])
    elif activation == SELU:
        for column in range(first, last):
            dz[row, column] = selu_dgrad(scale * dy[row, column], y[row, column])
    elif activation == SIGMOID:
        for column in range(first, last):
            dz[row, column] = sigmoid_dgrad(scale * dy[row, column], y[row, column])
    elif activation == HARD_SIGMOID:
        for column in range(first, last):
            dz[row, column] = hard_sigmoid_dgrad(scale * dy[row, column], y[row, column])
    elif activation == TANH:
        for column in range(first, last):
            dz[row, column] = tanh_dgrad(scale * dy[row, column], y[row, column])
    elif activation == EXPONENTIAL:
        for column in range(first, last):
            dz[row, column] = exponential_dgrad(scale * dy[row, column], y[row, column])
    elif activation == SOFTPLUS:
        for column in range(first, last):
            dz[row, column] = softplus_dgrad(scale * dy[row, column], y[row, column])


@inline
def share(piece, rows, columns):
    """Rows and columns of a piece of the work: some of the rows, or of the columns of a row that is the only one."""
    if rows == 1:
        return range(1), part_of(piece, columns)
    return part_of(piece, rows), range(columns)


@parallel
def bias_activation(piece, x, bias, y, activation):
    """y = activation(x + bias) for x, y [rows, columns]."""
    rows, columns = share(piece, x.shape[0], x.shape[1])
    for row in rows:
        bias_activation_row(x, bias, y, activation, row, columns.start, columns.stop)


@parallel
def bias_activation_inplace(piece, y, bias, activation):
    """The same over x itself: of two arrays the compiler would find that they overlap, and make no vectors."""
    rows, columns = share(piece, y.shape[0], y.shape[1])
    for row in rows:
        bias_activation_row(y, bias, y, activation, row, columns.start, columns.stop)


def bias_activation_thread(item, x, bias, y, activation):
    row = item // x.shape[1]
    column = item - row * x.shape[1]
    bias_activation_row(x, bias, y, activation, row, column, column + 1)


@inline
def add_row(x, row, total):
    for column in range(total.shape[0]):
        total[column] += x[row, column]


@parallel
def column_sums(piece, x, partial, chunk):
    """partial [chunks, columns] gets the sums of every ``chunk`` rows of x [rows, columns]."""
    for part in part_of(piece, partial.shape[0]):
        total = partial[part]
        total[:] = 0
        for row in range(part * chunk, min((part + 1) * chunk, x.shape[0])):
            add_row(x, row, total)


@parallel
def bias_activation_dgrad(piece, dy, y, dz, partial, chunk, activation, scale):
    """dz = scale * dy * activation'(y), [rows, columns]; partial [chunks, columns]: sums of every ``chunk`` rows."""
    for part in part_of(piece, partial.shape[0]):
        total = partial[part]
        total[:] = 0
        for row in range(part * chunk, min((part + 1) * chunk, y.shape[0])):
            activation_dgrad_row(dy, y, dz, activation, scale, row, 0, y.shape[1])
            add_row(dz, row, total)


@parallel
def activation_dgrad(piece, dy, y, dz, activation, scale):
    """dz = scale * dy * activation'(y), [rows, columns]."""
    for row in part_of(piece, y.shape[0]):
        activation_dgrad_row(dy, y, dz, activation, scale, row, 0, y.shape[1])


def activation_dgrad_thread(item, dy, y, dz, activation, scale):
    row = item // y.shape[1]
    column = item - row * y.shape[1]
    activation_dgrad_row(dy, y, dz, activation, scale, row, column, column + 1)

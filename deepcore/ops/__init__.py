"""Differentiable functions on tensors. Gradients live here, once, written with the same functions.

Every function takes tensors, or what ``Tensor`` takes, runs where its tensors are, and never asks which device that
is. Names and meanings are those of ``keras.ops`` and of NumPy.
"""

from deepcore.ops import operators as _operators  # noqa: I001: first, it gives Tensor its operators
from deepcore.ops.activation import (
    EPILOGUES,
    bias_activation,
    elu,
    hard_sigmoid,
    leaky_relu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    softsign,
    tanh,
)
from deepcore.ops.conv import conv2d, conv2d_transpose, depthwise_conv2d
from deepcore.ops.dropout import dropout
from deepcore.ops.elementwise import (
    abs,
    add,
    broadcast_to,
    ceil,
    clip,
    cos,
    divide,
    equal,
    exp,
    expm1,
    floor,
    floor_divide,
    greater,
    greater_equal,
    identity,
    isfinite,
    isnan,
    less,
    less_equal,
    log,
    log1p,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    mod,
    multiply,
    negative,
    not_equal,
    ones_like,
    power,
    round,
    rsqrt,
    sign,
    sin,
    sqrt,
    square,
    subtract,
    where,
    zeros_like,
)
from deepcore.ops.indexing import embedding, one_hot, take
from deepcore.ops.matmul import dot, matmul
from deepcore.ops.norm import batch_norm, batch_norm_inference, layer_norm, local_response_norm
from deepcore.ops.operand import cast
from deepcore.ops.operand import tensor_of as convert_to_tensor
from deepcore.ops.pool import avg_pool2d, global_avg_pool2d, global_max_pool2d, max_pool2d
from deepcore.ops.reduction import all, any, argmax, argmin, logsumexp, max, mean, min, std, sum, var
from deepcore.ops.shape import (
    concatenate,
    expand_dims,
    flip,
    getitem,
    moveaxis,
    pad,
    reshape,
    split,
    squeeze,
    stack,
    swapaxes,
    transpose,
)
from deepcore.ops.softmax import log_softmax, softmax, softmax_cross_entropy

__all__ = [name for name in dir() if not name.startswith("_")]

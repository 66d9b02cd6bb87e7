"""Wrong arguments are refused before anything is computed, in words that say what to do."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import Tensor, ops
from deepcore.device import Device
from deepcore.errors import DeviceMismatchError

X = np.ones((2, 5, 5, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ops.conv2d(X[0], X), ValueError, r"rank 4.*\(5, 5, 3\)"),
        (lambda: ops.conv2d(X, np.ones((3, 3, 3))), ValueError, "kernel of rank 4"),
        (lambda: ops.conv2d(X, np.ones((3, 3, 4, 8))), ValueError, "x has 3 channels.*expects 4"),
        (lambda: ops.conv2d(X, np.ones((7, 7, 3, 8))), ValueError, r"window \(7, 7\) is larger.*padding='same'"),
        (lambda: ops.conv2d(X, np.ones((3, 3, 3, 8)), dilation=3), ValueError, "larger than the padded input"),
        (lambda: ops.conv2d(X, np.ones((3, 3, 3, 8)), strides=0), ValueError, "strides must be at least 1"),
        (lambda: ops.conv2d(X, np.ones((3, 3, 3, 8)), strides=1.5), ValueError, "strides must be an int"),
        (lambda: ops.conv2d(X, np.ones((3, 3, 3, 8)), padding="full"), ValueError, "'valid', 'same'.*'full'"),
        (lambda: ops.conv2d(X, np.ones((3, 3, 3, 8)), padding=-1), ValueError, "must not be negative"),
        (lambda: ops.conv2d(X, np.ones((3, 3, 3, 8)), padding=(1, 2, 3)), ValueError, "explicit sizes"),
        (lambda: ops.conv2d(X, np.ones((3, 3, 1, 8)), groups=3), ValueError, "multiple of groups"),
        (lambda: ops.conv2d(X, np.ones((3, 3, 3, 8)), groups=0), ValueError, "groups must be a positive int"),
        (lambda: ops.conv2d(X[:0], np.ones((3, 3, 3, 8))), ValueError, "x is empty"),
        (lambda: ops.conv2d(X[:, :0], np.ones((3, 3, 3, 8)), padding="same"), ValueError, "x is empty"),
        (lambda: ops.conv2d(X, np.ones((3, 3, 3, 8)), np.ones(7)), ValueError, r"bias must have shape \(8,\)"),
        (lambda: ops.conv2d(X, np.ones((3, 3, 3, 8)), activation="rleu"), ValueError, "Did you mean 'relu'"),
        (lambda: ops.conv2d_transpose(X, np.ones((3, 3, 8, 4))), ValueError, "x has 3 channels.*expects 4"),
        (
            lambda: ops.conv2d_transpose(X, np.ones((3, 3, 8, 3)), strides=2, output_padding=2),
            ValueError,
            "less than the strides",
        ),
        (lambda: ops.depthwise_conv2d(X, np.ones((3, 3))), ValueError, "channels, multiplier"),
        (lambda: ops.max_pool2d(X, 6), ValueError, "larger than the padded input"),
        (lambda: ops.max_pool2d(X[0], 2), ValueError, "rank 4"),
        (lambda: ops.max_pool2d(X, 2, padding=2), ValueError, "smaller than the window"),
        (lambda: ops.avg_pool2d(X, (2, 2, 2)), ValueError, "two ints"),
        (lambda: ops.avg_pool2d(X[:, :, :0], 2), ValueError, "empty"),
        (lambda: ops.global_avg_pool2d(X[0]), ValueError, r"\(5, 5, 3\)"),
        (lambda: ops.matmul(np.ones((2, 3)), np.ones((4, 5))), ValueError, "inner sizes differ, 3 and 4"),
        (lambda: ops.matmul(np.ones((2, 2, 3)), np.ones((3, 3, 5))), ValueError, "do not broadcast"),
        (lambda: ops.matmul(1.0, np.ones((3, 3))), ValueError, "rank 1 or more"),
        (lambda: ops.matmul(np.ones((0, 3)), np.ones((3, 2))), ValueError, "x1 is empty"),
        (lambda: ops.batch_norm(X, np.ones(2), np.ones(3)), ValueError, r"gamma must have shape \(3,\)"),
        (lambda: ops.layer_norm(X[:0], np.ones(3), np.ones(3)), ValueError, "not empty"),
        (lambda: ops.local_response_norm(X, depth_radius=-1), ValueError, "must not be negative"),
        (lambda: ops.softmax(X, axis=4), ValueError, "axis 4"),
        (lambda: ops.softmax_cross_entropy(np.ones((2, 3)), [0, 3]), ValueError, "0 to 2.*got 0 to 3"),
        (lambda: ops.softmax_cross_entropy(np.ones((2, 3)), [0, -1]), ValueError, "got -1 to 0"),
        (lambda: ops.softmax_cross_entropy(np.ones((2, 3)), [0, 1, 2]), ValueError, r"shape \(2,\); got \(3,\)"),
        (lambda: ops.softmax_cross_entropy(np.ones((2, 3)), np.ones((2, 4))), ValueError, r"got \(2, 4\)"),
        (lambda: ops.softmax_cross_entropy(np.ones((0, 3)), np.ones((0, 3))), ValueError, "not empty"),
        (lambda: ops.embedding(np.ones((3, 2)), [3]), ValueError, "0 to 2.*got 3 to 3"),
        (lambda: ops.embedding(np.ones((3, 2)), [0.5]), ValueError, "integer ids"),
        (lambda: ops.embedding(np.ones(3), [0]), ValueError, "table"),
        (lambda: ops.one_hot([True], 3), ValueError, "integer class numbers"),
        (lambda: ops.one_hot([0], 3, sparse=True), ValueError, "no sparse tensors"),
        (lambda: ops.multi_hot([0]), ValueError, "needs num_classes"),
        (lambda: ops.glu(X, 4), ValueError, "glu: axis 4 is not one of a tensor of rank 4"),
        (lambda: ops.sparsemax(X, -5), ValueError, "sparsemax: axis -5"),
        (lambda: ops.softmax(X, (0, 0)), ValueError, "names an axis twice"),
        (lambda: ops.binary_crossentropy(X, X[0]), ValueError, r"same shape; got \(2, 5, 5, 3\) and \(5, 5, 3\)"),
        (lambda: ops.categorical_crossentropy(1.0, 1.0), ValueError, r"\[..., classes\]"),
        (lambda: ops.sparse_categorical_crossentropy([0], X), ValueError, r"must have shape \(2, 5, 5\); got \(1,\)"),
        (lambda: ops.sparse_categorical_crossentropy([3], [[0.2, 0.3, 0.5]]), ValueError, "0 to 2.*got 3 to 3"),
        (lambda: ops.conv(X[0, 0], X), ValueError, "sequences .rank 3. or of images .rank 4."),
        (
            lambda: ops.conv(X, np.ones((3, 3, 2, 8))),
            ValueError,
            "3 input channels must be a multiple of the kernel's 2",
        ),
        (lambda: ops.conv(X, np.ones((3, 3, 8))), ValueError, r"kernel of rank 4; got shape \(3, 3, 8\)"),
        (lambda: ops.conv(X, np.ones((3, 3, 3, 8)), strides=(1, 1, 1)), ValueError, "strides must be an int, or 2"),
        (lambda: ops.conv(X, np.ones((3, 3, 3, 8)), padding="full"), ValueError, "Unknown padding 'full'"),
        (lambda: ops.conv(X, np.ones((3, 3, 3, 8)), data_format="NHWC"), ValueError, "Unknown data_format 'NHWC'"),
        (lambda: ops.conv_transpose(X[0], np.ones((3, 3, 4))), ValueError, "expects 4"),
        (lambda: ops.max_pool(X[0], (2, 2)), ValueError, "pool_size must be an int, or 1"),
        (lambda: ops.average_pool(X, 9), ValueError, "larger than the padded input"),
        (lambda: ops.depth_to_space(X, 1), ValueError, "block_size must be at least 2; got 1"),
        (lambda: ops.depth_to_space(X, 2), ValueError, "3 channels must be a multiple of block_size squared, 4"),
        (lambda: ops.space_to_depth(X, 2), ValueError, r"\(5, 5\), must be multiples"),
        (lambda: ops.space_to_depth(X[0], 2), ValueError, "images of rank 4"),
        (lambda: ops.unfold(X[0], 2), ValueError, r"\[batch, channels, height, width\]"),
        (lambda: ops.unfold(X, 6), ValueError, r"window \(6, 6\).*does not fit into \(5, 3\)"),
        (lambda: ops.fold(X[0], 4, 2), ValueError, r"has 9 windows \(2, 2\).*got x of shape \(5, 5, 3\)"),
        (lambda: ops.fold(X, 4, 2), ValueError, "channels . window, windows"),
        (lambda: ops.batch_normalization(X, np.ones(2), np.ones(3), -1), ValueError, r"mean must have shape \(3,\)"),
        (lambda: ops.normalize(X, order=0), ValueError, "order must be a whole number above zero; got 0"),
        (lambda: ops.normalize(X, order=1.5), ValueError, "got 1.5"),
        (lambda: ops.layer_normalization(X, axis=4), ValueError, "layer_normalization: axis 4"),
        (lambda: ops.dropout(X, 1.0), ValueError, "from 0 to 1, 1 excluded; got 1.0"),
        (lambda: ops.dropout(X, -0.1), ValueError, "got -0.1"),
        (lambda: ops.sum(X, axis=4), ValueError, "axis 4 is not one of a tensor of rank 4"),
        (lambda: ops.sum(X, axis=(0, 0)), ValueError, "names an axis twice"),
        (lambda: ops.mean(X[:0]), ValueError, "nothing to average"),
        (lambda: ops.reshape(X, (7, -1)), ValueError, r"150 elements.*\(7, -1\)"),
        (lambda: ops.reshape(X, (-1, -1)), ValueError, "do not fill"),
        (lambda: ops.transpose(X, (0, 1, 2)), ValueError, "not a permutation"),
        (lambda: ops.squeeze(X, 0), ValueError, "longer than one"),
        (lambda: ops.pad(X, ((1, 1),) * 3), ValueError, "needs 4 pairs"),
        (lambda: ops.concatenate([]), ValueError, "at least one"),
        (lambda: ops.concatenate([X, X[:, :2]], 0), ValueError, "may differ along axis 0 only"),
        (lambda: ops.stack([X, X[:1]]), ValueError, "shapes must agree"),
        (lambda: ops.split(X, 2, axis=1), ValueError, "no 2 equal sections"),
        (lambda: ops.cast(X, "complex64"), TypeError, "holds numbers"),
        (lambda: ops.bias_activation(X, None, "softmax"), ValueError, "Unknown epilogue"),
    ],
)
def test_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_tensors_of_two_devices():
    ours = Tensor([1.0])
    theirs = Tensor.wrap(np.ones(1, np.float32), Device("emulator"))
    with pytest.raises(DeviceMismatchError, match=r"on cpu.*on emulator.*tensor.to\(device\)"):
        ours + theirs

"""Small uses of the functions of networks and images, for the tables of gradients and devices."""

from __future__ import annotations

import numpy as np

from deepcore import ops

RNG = np.random.default_rng(17)
LABELS = np.array([0, 2, 1])


def normal(*shape):
    return RNG.standard_normal(shape)


def positive(*shape):
    return RNG.uniform(0.3, 2.0, shape)


def between(low, high, *shape):
    return RNG.uniform(low, high, shape)


def off(kinks, *shape):
    """Values from -3 to 3 that stay away from ``kinks``."""
    values = RNG.uniform(-3, 3, (1000, *shape)).reshape(-1)
    far = np.abs(values[:, None] - np.asarray(kinks)).min(1) > 0.1
    return values[far][: int(np.prod(shape))].reshape(shape)


def distribution(*shape):
    raw = positive(*shape)
    return raw / raw.sum(-1, keepdims=True)


POINTS = np.array([[0.0, 0.0], [4.0, 0.2], [0.3, 3.0], [3.7, 3.3]])
MAPS = np.array(
    [[0.91, 0.13, 0.27, -0.17, 1.07, 0.31, 0.013, -0.021], [1.12, -0.07, -0.43, 0.09, 0.83, 0.57, 0.0, 0.017]]
)

CASES = {
    "erf": (ops.erf, normal(7)),
    "erfc": (ops.erfc, normal(7)),
    "erfinv": (ops.erfinv, between(-0.95, 0.95, 7)),
    "celu": (lambda x: ops.celu(x, 0.7), off([0], 7)),
    "elu of another alpha": (lambda x: ops.elu(x, 0.7), off([0], 7)),
    "leaky_relu of another slope": (lambda x: ops.leaky_relu(x, 0.3), off([0], 7)),
    "gelu": (ops.gelu, normal(7)),
    "gelu, exact": (lambda x: ops.gelu(x, approximate=False), normal(7)),
    "glu": (lambda x: ops.glu(x, 0), normal(4, 3)),
    "hard_shrink": (ops.hard_shrink, off([-0.5, 0.5], 7)),
    "hard_silu": (lambda x: ops.hard_silu(x) + ops.hard_swish(x), off([-3, 3], 7)),
    "hard_tanh": (lambda x: ops.hard_tanh(x * x * x), off([-1, 1], 7)),
    "log_sigmoid": (ops.log_sigmoid, normal(7)),
    "soft_shrink": (lambda x: ops.soft_shrink(x, 0.3) ** 2, off([-0.3, 0.3], 7)),
    "sparse_plus": (ops.sparse_plus, off([-1, 1], 7)),
    "sparse_sigmoid": (lambda x: ops.sparse_sigmoid(x) ** 2, off([-1, 1], 7)),
    "sparsemax": (lambda x: ops.sparsemax(x * x, 0), np.array([[0.5, 1.3], [1.1, 0.2], [0.9, 1.4], [-0.2, 0.4]])),
    "squareplus": (lambda x: ops.squareplus(x, 2), normal(7)),
    "step": (lambda x: ops.step(x) * x, off([0], 7)),
    "swish": (lambda x: ops.swish(x), normal(7)),
    "tanh_shrink": (ops.tanh_shrink, normal(7)),
    "threshold": (lambda x: ops.threshold(x * x * x, 1.0, -3.0), off([1], 7)),
    "softmax over two axes": (lambda x: ops.softmax(x, (0, 2)), normal(2, 3, 2)),
    "log_softmax over two axes": (lambda x: ops.log_softmax(x, (-1, 0)), normal(2, 3, 2)),
    "binary_crossentropy": (ops.binary_crossentropy, between(0.1, 0.9, 5), between(0.1, 0.9, 5)),
    "binary_crossentropy of logits": (
        lambda t, y: ops.binary_crossentropy(t, y, from_logits=True),
        between(0.1, 0.9, 5),
        normal(5),
    ),
    "categorical_crossentropy": (
        lambda t, y: ops.categorical_crossentropy(t, y, axis=0),
        distribution(3, 4),
        positive(3, 4),
    ),
    "categorical_crossentropy of logits": (
        lambda t, y: ops.categorical_crossentropy(t, y, from_logits=True, axis=0),
        distribution(3, 4),
        normal(3, 4),
    ),
    "sparse_categorical_crossentropy": (
        lambda y: ops.sparse_categorical_crossentropy(LABELS, y),
        positive(3, 4),
    ),
    "sparse_categorical_crossentropy of logits": (
        lambda y: ops.sparse_categorical_crossentropy(LABELS[None], y, from_logits=True, axis=0),
        normal(4, 3),
    ),
    "conv, 1-D": (lambda x, w: ops.conv(x, w, 2, "same"), normal(2, 7, 4), normal(3, 2, 6)),
    "conv, channels first": (
        lambda x, w: ops.conv(x, w, 1, "valid", "channels_first", (2, 1)),
        normal(1, 2, 5, 4),
        normal(2, 3, 2, 3),
    ),
    "conv_transpose, 1-D": (
        lambda x, w: ops.conv_transpose(x, w, 2, "same", output_padding=1),
        normal(2, 4, 2),
        normal(3, 3, 2),
    ),
    "depthwise_conv, 1-D": (lambda x, w: ops.depthwise_conv(x, w), normal(2, 5, 3), normal(3, 3, 2)),
    "separable_conv": (
        lambda x, d, p: ops.separable_conv(x, d, p, padding="same", data_format="channels_first"),
        normal(1, 2, 4, 4),
        normal(3, 3, 2, 2),
        normal(1, 1, 4, 3),
    ),
    "max_pool, 1-D": (
        lambda x: ops.max_pool(x * x, 3, 2, "same"),
        (RNG.permutation(24).reshape(2, 6, 2) + 3) / 7,
    ),
    "average_pool, channels first": (
        lambda x: ops.average_pool(x * x, 2, 1, "same", "channels_first"),
        normal(1, 2, 3, 4),
    ),
    "depth_to_space": (
        lambda x: (ops.depth_to_space(x * x, 2), ops.depth_to_space(x * x, 2, "channels_first")),
        normal(1, 4, 2, 8),
    ),
    "space_to_depth": (
        lambda x: (ops.space_to_depth(x * x, 2), ops.space_to_depth(x * x, 2, "channels_first")),
        normal(1, 4, 4, 2),
    ),
    "unfold": (lambda x: ops.unfold(x * x, (2, 3), (2, 1), (1, 0), (1, 2)), normal(1, 2, 4, 5)),
    "fold": (lambda x: ops.fold(x * x, (3, 4), 2, padding=(0, 1), stride=(1, 2)), normal(1, 8, 6)),
    "batch_normalization": (
        lambda *t: ops.batch_normalization(t[0], t[1], t[2], 1, t[3], t[4]),
        normal(2, 3, 2),
        normal(3),
        positive(3),
        normal(3),
        normal(3),
    ),
    "batch_normalization, channels last": (
        lambda x, m, v: ops.batch_normalization(x, m, v, -1),
        normal(4, 3),
        normal(3),
        positive(3),
    ),
    "layer_normalization": (
        lambda x, g, b: ops.layer_normalization(x, g, b, axis=(1, 2), epsilon=1e-3),
        normal(2, 3, 2),
        normal(3, 2),
        normal(3, 2),
    ),
    "layer_normalization of the last axis": (lambda x: ops.layer_normalization(x), normal(2, 5)),
    "rms_normalization": (lambda x, s: ops.rms_normalization(x, s, axis=0), normal(4, 2), normal(4)),
    "normalize": (lambda x: (ops.normalize(x), ops.normalize(x, 0, order=3)), off([0], 3, 4)),
    "moments": (lambda x: ops.moments(x, [0, 2]), normal(2, 3, 4)),
    "psnr": (lambda x, y: ops.psnr(x, y, 2.0), normal(2, 3), normal(2, 3)),
    "ssim": (lambda x, y: ops.image.ssim(x, y, 2.0, 3), normal(2, 4, 5, 2), normal(2, 4, 5, 2)),
    "resize, bilinear": (lambda x: ops.image.resize(x * x, (5, 2)), normal(1, 3, 4, 2)),
    "resize, bicubic": (
        lambda x: ops.image.resize(x * x, (3, 6), "bicubic", antialias=True, data_format="channels_first"),
        normal(2, 5, 4),
    ),
    "resize, nearest": (lambda x: ops.image.resize(x * x, (4, 3), "nearest"), normal(2, 5, 1)),
    "resize, padded": (
        lambda x: ops.image.resize(x * x, (3, 3), "lanczos3", pad_to_aspect_ratio=True, fill_value=0.5),
        normal(1, 2, 6, 1),
    ),
    "map_coordinates": (
        lambda x, c: ops.image.map_coordinates(x * x, c, 1, "reflect"),
        normal(4, 3),
        off(range(-3, 4), 2, 5),
    ),
    "map_coordinates, constant": (
        lambda x, c: ops.image.map_coordinates(x * x, c, 1, "constant", 0.5),
        normal(4, 3),
        off(range(-3, 4), 2, 5),
    ),
    "affine_transform": (
        lambda x, t: ops.image.affine_transform(x * x, t, fill_mode="nearest"),
        normal(2, 3, 4, 1),
        MAPS,
    ),
    "perspective_transform": (
        lambda x, a, b: ops.image.perspective_transform(x, a, b, fill_value=0.5, data_format="channels_first"),
        normal(2, 4, 5),
        POINTS + between(-0.3, 0.3, 4, 2),
        POINTS + between(-0.3, 0.3, 4, 2),
    ),
    "rgb_to_grayscale": (lambda x: ops.image.rgb_to_grayscale(x * x, "channels_first"), normal(3, 2, 2)),
    "rgb_to_hsv": (lambda x: ops.image.rgb_to_hsv(x), RNG.permutation(18).reshape(2, 3, 3) / 20 + 0.07),
    "hsv_to_rgb": (lambda x: ops.image.hsv_to_rgb(x), RNG.permutation(18).reshape(2, 3, 3) / 20 + 0.07),
    "pad_images": (lambda x: ops.image.pad_images(x * x, 1, 2, target_height=5, target_width=6), normal(2, 3, 1)),
    "crop_images": (lambda x: ops.image.crop_images(x * x, 1, 0, 1, target_width=2), normal(1, 4, 3, 1)),
    "extract_patches": (
        lambda x: ops.image.extract_patches(x * x, 2, 1, dilation_rate=2, padding="same"),
        normal(1, 3, 4, 2),
    ),
    "gaussian_blur": (
        lambda x, s: ops.image.gaussian_blur(x, (3, 4), s, "channels_first"),
        normal(2, 3, 4),
        positive(2),
    ),
}

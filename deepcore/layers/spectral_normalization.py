"""A layer whose kernel is kept from stretching anything."""

from __future__ import annotations

from typing import Any

from deepcore import initializers, ops
from deepcore.autograd import no_grad
from deepcore.layers.input_spec import InputSpec
from deepcore.layers.layer import Layer
from deepcore.layers.wrapper import Wrapper
from deepcore.tensor import Tensor


class SpectralNormalization(Wrapper):
    """Divides the kernel of a layer by its largest singular value, in every training call.

    Args:
        layer: with a ``kernel`` or ``embeddings``, which counts as a matrix [..., output channels].
        power_iterations: how often the estimate of the singular vector is improved in a call.

    Weight vector_u [1, output channels], besides the layer's. Raises ``ValueError`` for iterations that are not
    positive, and for a layer without a kernel. Miyato et al. 2018.
    """

    _config: tuple[str, ...] = ("power_iterations",)
    input_spec = InputSpec(min_ndim=1)

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        if power_iterations <= 0:
            raise ValueError(f"power_iterations must be above zero; got power_iterations={power_iterations!r}.")
        self.power_iterations = power_iterations

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        kernel = getattr(self.layer, "kernel", None)
        kernel = getattr(self.layer, "embeddings", None) if kernel is None else kernel
        if kernel is None:
            raise ValueError(f"{type(self.layer).__name__} has neither a kernel nor embeddings to normalise.")
        self.kernel = kernel
        self.vector_u = self.add_weight(
            (1, kernel.shape[-1]),
            initializers.TruncatedNormal(stddev=0.02),
            dtype=kernel.dtype,
            trainable=False,
            name="vector_u",
        )
        size = input_shape[-1]
        self.input_spec = InputSpec(min_ndim=1, axes={} if size is None else {-1: size})

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if training:
            with no_grad():
                u, kernel = self.normalized_weights()
                nothing = ops.all(ops.equal(self.kernel, 0))
                self.vector_u.assign(ops.where(nothing, self.vector_u, u))
                self.kernel.assign(ops.where(nothing, self.kernel, kernel))
        y = self.layer(x)
        return ops.cast(y, x.dtype) if x.dtype.kind == "f" else y

    def normalized_weights(self) -> tuple[Tensor, Tensor]:
        """The next singular vector, and the kernel divided by its singular value; a kernel of zeros stays."""
        matrix = ops.reshape(self.kernel, (-1, self.kernel.shape[-1]))
        u: Tensor = self.vector_u
        for _ in range(self.power_iterations):
            v = ops.normalize(ops.matmul(u, matrix, transpose_b=True), axis=None)
            u = ops.normalize(ops.matmul(v, matrix), axis=None)
        stretch = ops.sum(ops.matmul(v, matrix) * u)
        return u, self.kernel / ops.where(ops.equal(stretch, 0), 1.0, stretch)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

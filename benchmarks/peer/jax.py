"""JAX on the CPU: compiled by XLA, channels last, gradients by ``jax.vjp``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepcore.backend.geometry import Conv2DGeometry, MatmulGeometry, Pool2DGeometry
from deepcore.benchmarks import oracle
from deepcore.benchmarks.case import Case
from deepcore.benchmarks.peer import Peer, Variant, set_environment, version_of


def environment(threads: int) -> dict[str, str]:
    """What XLA reads when its first computation starts. NPROC is the size of its pool of threads."""
    flags = {"JAX_PLATFORMS": "cpu", "NPROC": str(threads)}
    return flags | ({"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"} if threads == 1 else {})


def open_peer(threads: int) -> Peer:
    """JAX, set to ``threads``, which holds if XLA has not computed in this process before."""
    settings = set_environment(environment(threads))
    if settings["NPROC"] != str(threads):
        raise ValueError(f"NPROC={settings['NPROC']} is set, so that XLA does not run on {threads} threads; unset it.")
    import jax

    settings |= {"threads": str(threads), "devices": ", ".join(map(str, jax.devices()))}
    return Peer("jax", version_of("jax"), threads, variants, None, settings)


def variants(case: Case) -> list[Variant]:
    """The one way that XLA has for channels last; it chooses layouts inside of a program by itself."""
    import jax

    jax.config.update("jax_enable_x64", case.dtype == "float64")
    g = case.geometry
    if isinstance(g, MatmulGeometry):
        function: Callable[..., Any] = _product(g)
    elif isinstance(g, Conv2DGeometry):
        function = _convolution(case, g)
    else:
        function = _pooling(case, g)
    compiled = jax.jit(function)
    with_positions = case.op == "max_pool2d_fprop"
    layout = "row-major" if isinstance(g, MatmulGeometry) else "NHWC"
    kept: list[np.ndarray] = []

    def prepare(arrays: Sequence[np.ndarray]) -> list[Any]:
        kept[:] = arrays
        if case.op == "max_pool2d_dgrad":  # XLA finds the maxima again, so it needs the input they were in
            arrays = [arrays[0], case.pooled()]
        return [jax.block_until_ready(jax.numpy.array(array, copy=True)) for array in arrays]

    def run(arguments: Sequence[Any]) -> Any:
        return jax.block_until_ready(compiled(*arguments))

    def restore(result: Any) -> Any:
        y = np.asarray(result)
        # XLA keeps no positions: its gradient looks for the maxima. Those that deepcore keeps are not its to get wrong.
        return (y, oracle.max_pool2d_argmax(kept[0], g)) if with_positions else y  # type: ignore[arg-type]

    return [Variant("jit", layout, prepare, run, restore)]


def _product(g: MatmulGeometry) -> Callable[..., Any]:
    from jax import numpy as jnp

    return lambda a, b: jnp.matmul(a.T if g.transpose_a else a, b.T if g.transpose_b else b)


def _convolution(case: Case, g: Conv2DGeometry) -> Callable[..., Any]:
    import jax
    from jax import numpy as jnp

    def forward(x: Any, w: Any) -> Any:
        return jax.lax.conv_general_dilated(
            x,
            w,
            g.strides,
            g.padding,
            rhs_dilation=g.dilation,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=g.groups,
        )

    # A convolution is linear in x and in w, so that the values at which a gradient is taken are never computed with.
    if case.direction == "dgrad":
        return lambda dy, w: jax.vjp(lambda x: forward(x, w), jnp.zeros(g.x_shape, case.dtype))[1](dy)[0]
    if case.direction == "wgrad":
        return lambda x, dy: jax.vjp(lambda w: forward(x, w), jnp.zeros(g.w_shape, case.dtype))[1](dy)[0]
    return forward


def _pooling(case: Case, g: Pool2DGeometry) -> Callable[..., Any]:
    import jax
    from jax import lax
    from jax import numpy as jnp

    window, strides = (1, *g.window, 1), (1, *g.strides, 1)
    padding = ((0, 0), *g.padding, (0, 0))
    if case.op.startswith("max"):

        def largest(x: Any) -> Any:
            return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, padding)

        return largest if case.direction == "fprop" else lambda dy, x: jax.vjp(largest, x)[1](dy)[0]

    inside = np.ones((1, g.height, g.width, 1), case.dtype)
    # An array and not a computation: how many elements a window holds is known before.
    count = np.asarray(lax.reduce_window(inside, np.zeros((), case.dtype), lax.add, window, strides, padding))

    def mean(x: Any) -> Any:
        return lax.reduce_window(x, np.zeros((), case.dtype), lax.add, window, strides, padding) / count

    if case.direction == "fprop":
        return mean
    return lambda dy: jax.vjp(mean, jnp.zeros(g.x_shape, case.dtype))[1](dy)[0]

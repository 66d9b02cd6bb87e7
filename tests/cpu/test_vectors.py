"""Convolution and pooling in every direction on narrower vector units, and on NumPy alone, each in its own process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from deepcore.kernels.cpu.host import hosts

SCRIPT = """
import numpy as np
from oracles import conv as oracle, pool
from deepcore.backend import numpy_backend
from deepcore.backend.dispatch import Call, implementations, use_implementation
from deepcore.backend.geometry import Conv2DGeometry, Pool2DGeometry
from deepcore.backend.numpy import plans, pooling
from deepcore.backend.numpy.memory import aligned

rng = np.random.default_rng(5)
backend = numpy_backend()
ran = set()
for x, w, strides, padding, dilation, groups in (
    ((2, 9, 11, 5), (3, 3, 5, 21), 1, "same", 1, 1),
    ((2, 9, 11, 16), (3, 3, 16, 64), 1, "same", 1, 1),
    ((2, 8, 12, 3), (3, 3, 3, 32), 1, "same", 1, 1),
    ((1, 11, 8, 6), (3, 2, 3, 10), 2, "same", 1, 2),
    ((2, 9, 7, 3), (2, 3, 3, 37), 1, "same", 2, 1),
    ((2, 9, 40, 21), (3, 3, 1, 21), 1, "same", 1, 21),
    ((2, 9, 7, 21), (3, 3, 1, 21), 2, "same", 1, 21),
    ((1, 11, 8, 128), (3, 3, 1, 128), 1, "same", 1, 128),
    ((1, 11, 8, 128), (3, 3, 1, 128), 2, "same", 1, 128),
):
    g = Conv2DGeometry.of(x, w, strides, padding, dilation, groups)
    x, w, dy = (rng.standard_normal(shape).astype(np.float32) for shape in (g.x_shape, g.w_shape, g.y_shape))
    how = (g.strides, g.padding, g.dilation, g.groups)
    for op, arguments, right in (
        ("conv2d_fprop", (x, w), oracle.fprop(x, w, *how)),
        ("conv2d_dgrad", (dy, w), oracle.dgrad(dy, w, g.x_shape, *how)),
        ("conv2d_wgrad", (x, dy), oracle.wgrad(x, dy, g.w_shape, *how)),
    ):
        for record in implementations(op, "cpu"):
            if record.verdict(Call(op, "float32", g))[0]:
                ran.add(record.name)
                with use_implementation(op, record.name):
                    got = getattr(backend, op)(*arguments, g)
                error = abs(got - right).max() / abs(right).max()
                assert error < 2e-5, (op, record.name, g, error)
pooling.empty, plans.STREAMED_BYTES = aligned, 0
for shape, window, strides, padding in (
    ((2, 9, 11, 32), 3, 2, "same"),
    ((2, 9, 37, 1), 3, 2, "same"),
    ((2, 8, 11, 3), 2, 2, "valid"),
    ((2, 8, 31, 3), 2, (2, 3), "valid"),
    ((1, 7, 9, 6), (2, 3), (1, 3), ((0, 1), (2, 0))),
    ((2, 7, 6, 21), 3, 1, "same"),
):
    g = Pool2DGeometry.of(shape, window, strides, padding)
    x, dy = (rng.standard_normal(shape).astype(np.float32) for shape in (g.x_shape, g.y_shape))
    x[0, 3, 4, 0], x[0, 5, 5] = np.nan, np.inf
    how = (g.window, g.strides, g.padding)
    y, argmax = pool.max_fprop(x, g.y_shape, *how)
    whole = rng.standard_normal(g.x_shape).astype(np.float32)
    for op, arguments, right in (
        ("max_pool2d_fprop", (x,), (y, argmax)),
        ("max_pool2d_dgrad", (dy, argmax.astype(np.uint8)), (pool.max_dgrad(dy, argmax, g.x_shape, *how),)),
        ("avg_pool2d_fprop", (whole,), (pool.avg_fprop(whole, g.y_shape, *how),)),
        ("avg_pool2d_dgrad", (dy,), (pool.avg_dgrad(dy, g.x_shape, *how),)),
    ):
        for record in implementations(op, "cpu"):
            if record.verdict(Call(op, "float32", g))[0]:
                ran.add(record.name)
                with use_implementation(op, record.name):
                    got = getattr(backend, op)(*arguments, g)
                for one, exact in zip(got if isinstance(got, tuple) else (got,), right):
                    np.testing.assert_allclose(one, exact, 0, 1e-6, err_msg=f"{op} {record.name} {g}")
print(" ".join(sorted(ran)))
"""


def run(**settings):
    environment = {**os.environ, "PYTHONPATH": "tests", **settings}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("vector", [host.vector for host in hosts()[:-1]])
def test_narrower_vectors(vector):
    every = {"tiles", "overlap-add", "winograd-2", "winograd-4", "vectors-depthwise", "vectors"}
    assert every <= run(DEEPCORE_VECTOR=vector)


def test_numpy_alone():
    ran = run(DEEPCORE_DISABLE_JIT="1")
    assert ran == {"numpy", "numpy-depthwise"}


def test_an_unknown_vector_unit_is_refused():
    environment = {**os.environ, "DEEPCORE_VECTOR": "avx9"}
    script = "from deepcore.kernels.cpu.host import host; host()"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "avx9" in done.stderr
    assert "generic" in done.stderr

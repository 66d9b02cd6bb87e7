"""Calls that reach every Numba sibling, on small arrays: what ``test_numba_siblings.py`` runs here and in a process of
its own, since Numba reads at its import whether to simulate.

``python siblings.py values FILE`` writes what the siblings return in Numba's simulator; ``python siblings.py ptx FILE``
compiles every kernel that the same calls launch for compute capability 8.0, which needs no GPU.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
from oracles.optimizer import CASES

from deepcore.backend.contract import ACTIVATIONS
from deepcore.backend.cuda import array
from deepcore.backend.dispatch import implementations, operations, use_implementation
from deepcore.backend.explain import load_records
from deepcore.backend.geometry import Conv2DGeometry, Pool2DGeometry
from deepcore.backend.numpy import activation as activations
from deepcore.backend.numpy import pool as pools
from deepcore.backend.updates import Before

DTYPES = ("float32", "float64")
NO_COMPILER = 77

POOLS = (
    ((2, 5, 7, 3), (3, 2), (2, 2), "same"),
    ((1, 6, 5, 2), (3, 3), (1, 1), "valid"),
    ((2, 3, 4, 17), (3, 4), (1, 1), "valid"),
    ((1, 17, 18, 1), (17, 17), (1, 1), "valid"),  # positions in a window beyond uint8
    ((1, 5, 5, 2), (2, 2), (3, 3), "valid"),  # pixels in no window
)
CONVOLUTIONS = (
    ((2, 5, 4, 3), (3, 3, 1, 3), {"strides": 1, "padding": "same"}, "linear"),
    ((1, 6, 7, 2), (3, 2, 1, 6), {"strides": 2, "padding": "same"}, "relu"),
    ((1, 7, 6, 2), (2, 3, 1, 2), {"padding": "valid", "dilation": 2}, "linear"),
)


def siblings():
    """(operation, name) of every Numba sibling."""
    load_records()
    return [
        (op, record.name)
        for op in operations()
        for record in implementations(op, "cuda")
        if record.name.startswith("cuda-numba")
    ]


def calls(backend, dtype):
    """Yields (operation, label, function) where the function returns arrays; ``backend`` is "numpy" or "cuda"."""

    def of(file):
        return importlib.import_module(f"deepcore.backend.{backend}.{file}")

    rng = np.random.default_rng(7)

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)

    for activation in ACTIVATIONS:
        x, bias, dy = draw(3, 2, 5), draw(5), draw(3, 2, 5)
        x[1, 1, 1] = np.nan
        y = activations.bias_activation(x, bias, activation)
        for label, given in (("bias", bias), ("plain", None)):
            yield (
                "bias_activation",
                f"{activation} {label}",
                _bound(of("activation").bias_activation, x, given, activation),
            )
        if activation != "linear":
            yield "activation_dgrad", activation, _bound(of("activation").activation_dgrad, dy, y, activation)
    for number, (shape, window, strides, padding) in enumerate(POOLS):
        geometry = Pool2DGeometry.of(shape, window, strides, padding)
        x, dy = draw(*shape), draw(*geometry.y_shape)
        x[0, 2, 1, 0] = np.nan if number < 2 else -np.inf
        _, argmax = pools.max_pool2d_fprop(x, geometry)
        yield "max_pool2d_fprop", str(number), _bound(of("pool").max_pool2d_fprop, x, geometry)
        yield "max_pool2d_dgrad", str(number), _bound(of("pool").max_pool2d_dgrad, dy, argmax, geometry)
        yield "max_pool2d_gather", str(number), _bound(of("pool").max_pool2d_gather, x, argmax, geometry)
        yield "avg_pool2d_fprop", str(number), _bound(of("pool").avg_pool2d_fprop, np.nan_to_num(x, neginf=0), geometry)
        yield "avg_pool2d_dgrad", str(number), _bound(of("pool").avg_pool2d_dgrad, dy, geometry)
    for index in ("int64", "int32", "uint8"):
        table, ids = draw(6, 3), rng.integers(0, 6, (2, 5)).astype(index)
        yield "embedding_gather", index, _bound(of("embedding").embedding_gather, table, ids)
    seed, offset = 0x1234_5678_9ABC_DEF0, 2**64 - 2
    for size in (1, 13):
        yield "random_bits", str(size), _bound(of("random").random_bits, size, seed, offset)
        yield "random_uniform", str(size), _bound(of("random").random_uniform, (size, 3), seed, offset, dtype)
        yield "dropout", str(size), _bound(of("random").dropout, draw(size, 3), 0.4, seed, offset)
    yield "dropout", "nothing", _bound(of("random").dropout, draw(0, 3), 0.4, seed, offset)
    for number, (x_shape, w_shape, options, activation) in enumerate(CONVOLUTIONS):
        geometry = Conv2DGeometry.of(x_shape, w_shape, groups=x_shape[3], **options)
        x, w, bias, dy = draw(*x_shape), draw(*w_shape), draw(w_shape[3]), draw(*geometry.y_shape)
        yield "conv2d_fprop", str(number), _bound(of("conv").conv2d_fprop, x, w, geometry, bias, activation)
        yield "conv2d_fprop", f"{number} plain", _bound(of("conv").conv2d_fprop, x, w, geometry)
        yield "conv2d_dgrad", str(number), _bound(of("conv").conv2d_dgrad, dy, w, geometry)
    yield from _steps(of("optimizer"), draw)


def _steps(optimizer, draw):
    p, g = [draw(3, 5), draw(7)], [draw(3, 5), draw(7)]
    scale = np.asarray(0.5, p[0].dtype)
    for label, case in CASES.items():
        # Mean gradients of zero: the variance below the root of RMSprop stays positive.
        zeros = case.op == "rmsprop_update" and case.present[1]
        states = [
            [np.zeros_like(array) if zeros and place == 1 else abs(draw(*array.shape)) for array in p]
            if there
            else None
            for place, there in enumerate(case.present)
        ]
        for before in (Before(), Before((0.1, 0.0), 0.9, scale, 0.4)):
            yield (
                case.op,
                f"{label} {'as it is' if before.scale is None else 'prepared'}",
                _step(getattr(optimizer, case.op), case, [array.copy() for array in p], g, states, before),
            )


def _step(function, case, parameters, gradients, states, before):
    def run():
        lists = [None if arrays is None else [array.copy() for array in arrays] for arrays in states]
        known, numbers = case.split(lists, 3)
        function(parameters, gradients, *known, *numbers, before=before)
        return tuple(array for arrays in (parameters, *lists) if arrays is not None for array in arrays)

    return run


def _bound(function, *args):
    def run():
        result = function(*args)
        return result if isinstance(result, tuple) else (result,)

    return run


def run_siblings(dtype):
    """Yields (operation, label, arrays): every call of ``calls`` by Numba's siblings."""
    names = siblings()
    for op, label, run in calls("cuda", dtype):
        with ExitStack() as held:
            for name in names:
                held.enter_context(use_implementation(*name))
            yield op, label, run()


def _poison():
    empty = array.empty

    def filled_with_nan(*args, **kwargs):
        new = empty(*args, **kwargs)
        new.reshape(-1).view(np.uint8).fill(0xFF)
        return new

    for name, module in list(sys.modules.items()):
        if name.startswith("deepcore.backend.cuda.") and getattr(module, "empty", None) is empty:
            module.empty = filled_with_nan


def write_values(file):
    load_records()
    _poison()
    found = {}
    for dtype in DTYPES:
        for op, label, arrays in run_siblings(dtype):
            for place, value in enumerate(arrays):
                found[f"{dtype}/{op}/{label}/{place}"] = value
    np.savez(file, **found)


def write_ptx(file):
    from numba import cuda, typeof, types
    from numba.cuda import dispatcher

    from deepcore.backend.cuda import sibling
    from deepcore.kernels.numba import gpu

    target = (8, 0)
    try:
        cuda.compile_ptx(lambda count, args: None, types.void(types.int64, types.int64), cc=target)
    except Exception as problem:  # whatever is missing is named by an exception of a kind of its own
        print(f"{type(problem).__name__}: {problem}")
        sys.exit(NO_COMPILER)
    # A called function is compiled for the GPU that is there, unless told of another.
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=target)
    sibling.simulated = lambda: True  # NumPy arrays are as good as any for their types
    compiled = {}

    def compile_only(thread, blocks, threads, stream, count, args):
        signature = types.void(types.int64, types.Tuple([typeof(value) for value in args]))
        key = f"{thread.__name__} {signature}"
        if key not in compiled:
            text, _ = cuda.compile_ptx(gpu.compiled(thread).py_func, signature, cc=target)
            compiled[key] = {"entry": ".entry" in text, "float64": bool(re.search(r"\.f64\b", text))}

    gpu.launch = compile_only
    launched = [[dtype, op] for dtype in DTYPES for op, _, _ in run_siblings(dtype)]
    with open(file, "w", encoding="utf-8") as out:
        json.dump({"compiled": compiled, "launched": launched}, out)


if __name__ == "__main__":
    {"values": write_values, "ptx": write_ptx}[sys.argv[1]](sys.argv[2])

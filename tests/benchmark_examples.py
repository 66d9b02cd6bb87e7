"""Small layers and networks to measure, and rows that nobody measured."""

from deepcore.benchmarks import network as n
from deepcore.benchmarks.row import Row
from deepcore.benchmarks.run import Setting
from deepcore.benchmarks.suite import Conv, Dense, Gemm, Pool, Suite

QUICK = Setting(repeats=2, seconds=0.0, cold=False)
TINY = Suite(
    "tiny",
    "small layers of every kind",
    2,
    (
        Conv("conv", (7, 6, 4), (3, 3), 6, strides=2),
        Conv("grouped", (5, 5, 4), (3, 3), 6, groups=2),
        Conv("depthwise", (6, 6, 5), (3, 3), 5, groups=5, padding=1),
        Conv("pointwise", (4, 4, 3), (1, 1), 8),
        Pool("max", (7, 7, 3), 3, 2, padding=1),
        Pool("mean", (6, 6, 3), 2, op="avg_pool2d"),
        Pool("global", (5, 5, 3), 5, op="avg_pool2d"),
        Dense("dense", 20, 12),
        Gemm("gemm", 5, 6, 7, transpose_a=True, transpose_b=True),
    ),
)
SMALL = n.Network("small", "a small one", (6,), (n.Dense(5, "relu"), n.Dropout(0.5), n.Dense(3)), n.Optimizer("adam"))
EVERY_KIND = n.Network(
    "every",
    "each kind of layer",
    (12, 12, 2),
    (
        n.Conv(4, 3, 2, "same", "linear", use_bias=False),
        n.BatchNorm("relu"),
        n.Depthwise(3),
        n.Residual((n.Conv(4, 1, padding=0), n.Conv(4, 3, activation="linear")), ()),
        n.Residual((n.Conv(6, 3, padding=1, activation="linear"),), (n.Conv(6, 1, activation="linear"), n.BatchNorm())),
        n.MaxPool(2),
        n.Dropout(0.3),
        n.Conv(3, 2, padding="valid"),
        n.GlobalAverage(),
        n.Dense(3),
    ),
    n.Optimizer("rmsprop"),
)


def row(layer="conv1", direction="fprop", implementation="numpy", p50=0.002, **changes):
    fields = {
        "suite": "lenet",
        "layer": layer,
        "count": 1,
        "batch": 32,
        "op": f"conv2d_{direction}",
        "direction": direction,
        "shape": "32x28x28x1 * 5x5x1x6",
        "dtype": "float32",
        "layout": "NHWC",
        "device": "cpu",
        "clock": "call",
        "implementation": implementation,
        "chosen": True,
        "why": "any shape [of any size]; cheapest estimate",
        "correct": True,
        "error": 1.5e-7,
        "bound": 2.5e-5,
        "message": "",
        "p20": p50 and 0.9 * p50,
        "p50": p50,
        "p80": p50 and 1.25 * p50,
        "repeats": 9,
        "cache": "cold",
        "transfer_bytes": 0,
        "flops": 40_000_000,
        "bytes": 6_000_000,
        "threads": 2,
        "blas": "openblas",
        "blas_threads": 2,
        "driver": "",
        "gpu": "",
        "precision": "float32",
        "cpu": "a processor",
        "load": 0.1,
        "versions": {"numpy": "2"},
        "commit": "abc",
        "time": "",
    }
    return Row(**(fields | changes))


def peer_row(ratio=2.0, name="bigtorch", **changes):
    """A row of a library that took ``ratio`` times as long."""
    fields = {
        "implementation": f"{name} 9.1 channels_last",
        "peer": name,
        "versions": {"numpy": "2", name: "9.1"},
        "settings": {"threads": "2", "huge": "yes"},
        "why": "",
        "p50": 0.002 * ratio,
        "ratio_p20": 0.9 * ratio,
        "ratio_p50": ratio,
        "ratio_p80": 1.1 * ratio,
    }
    return row(**(fields | changes))

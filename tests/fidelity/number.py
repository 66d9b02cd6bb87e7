"""Conversions, rounding and arithmetic of one thread."""

from __future__ import annotations

import numpy as np
from fidelity.case import KERNELS, Case, Near, unwritten
from oracles import philox

from deepcore.backend.cuda.launcher import FOLDER

FILE = KERNELS / "number.cu"

# Largest errors in units in the last place: CUDA C++ Programming Guide, "Mathematical Functions".
ULPS = {
    "expf": 2,
    "expm1f": 1,
    "logf": 1,
    "log1pf": 1,
    "tanhf": 2,
    "sqrtf": 0.5,
    "rsqrtf": 2,
    "powf": 4,
    "sinpif": 1,
    "cospif": 1,
    "__expf": 2,  # and 1.173 |x| more
    "__fdividef": 2,
}


def hard_floats(rng):
    """Every half, the points between neighbours and just beside them, extremes, and random bit patterns."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = np.sort(halves[np.isfinite(halves)].astype(np.float64))
    near = ((finite[1:] + finite[:-1]) / 2).astype(np.float32)[::3]
    return np.concatenate(
        [
            finite.astype(np.float32)[::3],
            near,
            np.nextafter(near, np.float32(np.inf)),
            np.nextafter(near, np.float32(-np.inf)),
            np.array([65519.996, 65520, 65536, 1e38, 1e-30, -0.0, np.inf, -np.inf, np.nan], np.float32),
            rng.integers(0, 2**32, 8000, dtype=np.uint32).view(np.float32),
        ]
    )


@np.errstate(over="ignore", invalid="ignore")
def to_half_arguments(rng):
    x = hard_floats(rng)
    wide = x.astype(np.float64) * (1 + rng.choice([-1e-12, 0, 1e-12], x.size))
    outputs = {name: unwritten(x.size, np.float16) for name in ("y", "from_wide")}
    return {"x": x, "wide": wide, **outputs, "n": x.size}


@np.errstate(over="ignore", invalid="ignore")
def to_half(given):
    return {"y": given["x"].astype(np.float16), "from_wide": given["wide"].astype(np.float16)}


def from_half_arguments(rng):
    x = np.arange(2**16, dtype=np.uint16).view(np.float16)
    return {"x": x, "y": unwritten(x.size, np.float32), "n": x.size}


def to_bfloat16_arguments(rng):
    x = np.concatenate([hard_floats(rng), rng.integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32)])
    return {"x": x, "y": unwritten(x.size, np.uint16), "back": unwritten(x.size, np.float32), "n": x.size}


@np.errstate(over="ignore", invalid="ignore")
def to_bfloat16(given):
    """The nearer of the two neighbours with 16 bits, by distances in float64; the even one between two equals."""
    x = given["x"]
    exact, cut = x.astype(np.float64), x.view(np.uint32) & 0xFFFF0000
    low, high = cut.view(np.float32), (cut + np.uint32(0x10000)).view(np.float32)
    beyond = np.where(np.isinf(high), np.float64(2) ** 128 * np.sign(exact), high.astype(np.float64))
    down, up = np.abs(exact - low), np.abs(beyond - exact)
    nearest = np.where((down < up) | ((down == up) & (cut >> 16 & 1 == 0)), low, high)
    back = np.where(np.isfinite(x), nearest, x).astype(np.float32)
    bits = np.where(np.isnan(x), 0x7FFF, back.view(np.uint32) >> 16).astype(np.uint16)
    return {"y": bits, "back": back}


def half_arithmetic_arguments(rng):
    x = rng.standard_normal((32, 2)).astype(np.float16)
    return {"x": x, "y": unwritten(x.shape, np.float16), "fused": unwritten(x.shape, np.float16)}


def half_arithmetic(given):
    x = given["x"]
    fused = (x.astype(np.float64) ** 2 + 0.25).astype(np.float16)  # exact in float64, so rounded once
    return {"y": x * x + np.float16(0.25), "fused": fused}


def tf32_arguments(rng):
    ulp = 2.0**-10
    x = np.array([1, 1 + ulp / 2, 1 + ulp / 2 - 2**-23, -1 - ulp / 2, 1 + 1.5 * ulp, np.inf, -np.inf, 0], np.float32)
    return {"x": np.concatenate([x, rng.standard_normal(24).astype(np.float32)]), "y": unwritten(32, np.uint32)}


def tf32(given):
    """The nearest multiple of 2^-10 of the power of two below, ties away from zero."""
    x = given["x"].astype(np.float64)
    fraction, exponent = np.frexp(np.where(np.isfinite(x), x, 0))
    rounded = np.ldexp(np.copysign(np.floor(np.abs(fraction) * 2**11 + 0.5), fraction), exponent - 11)
    return {"y": np.where(np.isfinite(x), rounded, x).astype(np.float32).view(np.uint32)}


def bits_arguments(rng):
    x = (rng.standard_normal(32) * 3).astype(np.float32)
    x[:3] = [1e20, np.nan, -2.5]
    u = rng.integers(1, 2**32, 32, dtype=np.uint32)
    return {"x": x, "u": u, "y": unwritten((2, 32), np.float32), "z": unwritten((4, 32), np.uint32)}


@np.errstate(over="ignore", invalid="ignore")
def bits(given):
    x, u = given["x"], given["u"]
    wide = x.astype(np.float64)
    text = [f"{value:032b}" for value in u]
    counts = [t.count("1") + 100 * t.index("1") + 10000 * (32 - t.rindex("1")) for t in text]
    rounded = np.where(np.isnan(x), 0, np.clip(np.rint(wide), -(2**31), 2**31 - 1)).astype(np.int64)
    return {
        "y": np.stack([x * x - np.float32(1), (wide * wide - 1).astype(np.float32)]),
        "z": np.stack(
            [
                np.array(counts, np.uint32),
                np.array([int(t[::-1], 2) for t in text], np.uint32),
                (u.astype(np.uint64) * 0x9E3779B9 >> 32).astype(np.uint32),
                rounded.astype(np.int32).view(np.uint32),
            ]
        ),
    }


def functions_arguments(rng):
    x = np.clip(3 * rng.standard_normal(500), -20, 20).astype(np.float32)
    return {"x": x, "y": unwritten((len(ULPS), x.size), np.float32), "n": x.size}


def functions(given):
    x = given["x"]
    positive32 = np.abs(x) + np.float32(0.01)
    v, positive = x.astype(np.float64), positive32.astype(np.float64)
    value = np.stack(
        [
            np.exp(v),
            np.expm1(v),
            np.log(positive),
            np.log1p(positive),
            np.tanh(v),
            np.sqrt(positive),
            1 / np.sqrt(positive),
            positive**0.75,
            np.sin(np.pi * np.remainder(v, 2)),
            np.cos(np.pi * np.remainder(v, 2)),
            np.exp(v),
            v / positive,
        ]
    )
    ulps = np.array(list(ULPS.values()))[:, None] + np.zeros_like(value)
    ulps[list(ULPS).index("__expf")] += 1.173 * np.abs(v)
    return {"y": Near(value, ulps * np.spacing(np.abs(value).astype(np.float32)))}


PHILOX_SEED, PHILOX_OFFSET = 0x9E3779B97F4A7C15, 2**32 - 3


def philox_arguments(rng):
    return {
        "bits": unwritten(1003, np.uint32),
        "key_0": PHILOX_SEED & 0xFFFFFFFF,
        "key_1": PHILOX_SEED >> 32,
        "offset": PHILOX_OFFSET,
        "size": 1003,
    }


CASES = [
    Case("float to half", FILE, "to_half", to_half_arguments, to_half),
    Case(
        "half to float", FILE, "from_half", from_half_arguments, lambda given: {"y": given["x"].astype(np.float32)}, 64
    ),
    Case("float to bfloat16 and back", FILE, "to_bfloat16", to_bfloat16_arguments, to_bfloat16),
    Case("half arithmetic", FILE, "half_arithmetic", half_arithmetic_arguments, half_arithmetic),
    Case("float to tf32", FILE, "round_to_tf32", tf32_arguments, tf32, needs=80),
    Case("rounding and bits", FILE, "bits", bits_arguments, bits),
    Case("functions", FILE, "functions", functions_arguments, functions),
    Case(
        "Philox",
        FOLDER / "philox.cu",
        "random_bits",
        philox_arguments,
        lambda given: {"bits": np.array(philox.random_bits(1003, PHILOX_SEED, PHILOX_OFFSET), np.uint32)},
        block=256,
        defines=(("T", "float"),),
    ),
]

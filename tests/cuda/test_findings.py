"""Every kernel in check mode: no finding in any order of its threads, and no more traffic than is written down here.

The launches are those of ``launches.py``; a kernel that has none fails a test here.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest
from launches import (
    CASES,
    FLOATS,
    Case,
    Inputs,
    few_blocks,
    functions,
    launcher,
    pool_cases,
    reporting,
    runs,
    update_cases,
)

from deepcore.backend.cuda import tile
from deepcore.backend.cuda.carrier import emulation
from deepcore.backend.dispatch import implementations, use_implementation
from deepcore.backend.geometry import Conv2DGeometry, Pool2DGeometry
from deepcore.errors import UnsupportedCallError
from deepcore.kernels.emulator import has_compiler
from deepcore.kernels.signature import parse_signatures

needs_compiler = pytest.mark.skipif(
    not has_compiler(), reason="THE CUDA KERNELS ARE NOT CHECKED: no C++ compiler for the emulator. Install g++."
)
WATCHED = [run for run in runs() if run.watched] if has_compiler() else []

# How the threads of a block take turns, and whether blocks must take several tasks each.
ORDERS = (("fifo", 0, False), ("lifo", 0, False), ("random", 1, False), ("random", 2, True), ("random", 3, True))


def kernels() -> set[tuple[str, str]]:
    """(file, kernel) of every kernel there is."""
    macros = {"T": "float", "R": "float", "OP": "Sum"}
    return {
        (file.name, name)
        for file in sorted(launcher.FOLDER.glob("*.cu"))
        for name in parse_signatures(file.read_text(encoding="utf-8"), macros)
    }


@needs_compiler
@pytest.mark.parametrize("run", [pytest.param(run, id=str(run)) for run in WATCHED] or [None])
def test_no_findings(run):
    for schedule, seed, few in ORDERS:
        with emulation(check=True, schedule=schedule, seed=seed), reporting() as reports:
            if few:
                with few_blocks():
                    run()
            else:
                run()
        assert reports, "nothing was launched"
        assert [finding for report in reports for finding in report.findings] == []


@needs_compiler
def test_every_kernel_is_watched():
    watched = {(launched.file, launched.kernel) for run in WATCHED for launched in run.launched}
    missing = kernels() - watched
    assert not missing, f"without a launch in tests/cuda/launches.py: {sorted(missing)}"


@needs_compiler
def test_every_implementation_is_watched():
    ops = {case.op for case in CASES}
    assert ops == set(functions()), "functions of the backend without a launch in tests/cuda/launches.py, or unknown"
    there = {(op, record.name) for op in ops for record in implementations(op, "cuda") if record.available()[0]}
    assert there == {(run.case.op, run.implementation) for run in WATCHED}


@needs_compiler
def test_every_tile_is_built():
    built = {dict(launched.defines).get("TILE_M") for run in runs() for launched in run.launched if run.dtype in FLOATS}
    assert {shape.m for tiles in tile.TILES.values() for shape in tiles} <= built


# ---- traffic ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ratio:
    """The most that any source line of a kernel may cost in a call, in multiples of the ideal, and why if above 1."""

    sectors: float = 1.0
    wavefronts: float = 1.0
    why: str = ""


# Aligned calls, of sizes that fill warps. Every kernel is measured by at least one of them.
def _aligned_rows(rows: int, columns: int) -> list[Case]:
    label, shape = f"rows of {columns}", (rows, columns)
    return [
        Case("softmax_fprop", label, lambda a: (a(*shape),)),
        Case("softmax_dgrad", label, lambda a: (a(*shape), a(*shape))),
        Case("log_softmax_fprop", label, lambda a: (a(*shape),)),
        Case("log_softmax_dgrad", label, lambda a: (a(*shape), a(*shape))),
        *(
            case
            for loss in ("softmax", "probability")
            for case in (
                Case(f"{loss}_cross_entropy_fprop", label, lambda a: (a(*shape), a.whole(columns, rows))),
                Case(f"{loss}_cross_entropy_dgrad", label, lambda a: (a(rows), a(*shape), a.whole(columns, rows))),
                Case(f"{loss}_cross_entropy_fprop", label, lambda a: (a(*shape), a(*shape))),
                Case(f"{loss}_cross_entropy_dgrad", label, lambda a: (a(rows), a(*shape), a(*shape))),
            )
        ),
        Case("layer_norm_fprop", label, lambda a: (a(*shape), a(columns), a(columns), 1e-3)),
        Case("layer_norm_dgrad", label, lambda a: (a(*shape), a(*shape), a(columns), a(rows), a.positive(rows))),
        Case("reduce_sum", label, lambda a: (a(*shape), (1,))),
    ]


SQUARE = Conv2DGeometry.of((2, 16, 16, 32), (3, 3, 32, 32), 1, "same")
STEM = Conv2DGeometry.of((1, 32, 32, 3), (3, 3, 3, 32), 1, "same")
DEPTHWISE = Conv2DGeometry.of((1, 16, 16, 128), (3, 3, 1, 128), 1, "same", 1, 128)


def _aligned_conv(label: str, g: Conv2DGeometry) -> list[Case]:
    return [
        Case("conv2d_fprop", label, lambda a: (a(*g.x_shape), a(*g.w_shape), g, a(g.out_channels), "relu"), tile=2),
        Case("conv2d_dgrad", label, lambda a: (a(*g.y_shape), a(*g.w_shape), g), tile=2),
        Case("conv2d_wgrad", label, lambda a: (a(*g.x_shape), a(*g.y_shape), g), tile=2),
    ]


ALIGNED = [
    Case("bias_activation", "aligned", lambda a: (a(64, 64), a(64), "relu")),
    Case("activation_dgrad", "aligned", lambda a: (a(64, 64), a(64, 64), "relu")),
    Case("bias_activation_dgrad", "aligned", lambda a: (a(4096, 64), a(4096, 64), "relu")),
    *_aligned_rows(64, 128),
    *_aligned_rows(4, 2048),
    Case("reduce_sum", "columns", lambda a: (a(4096, 64), (0,))),
    Case("batch_norm_fprop", "aligned", lambda a: (a(4096, 64), a(64), a(64), 1e-3)),
    Case("batch_norm_dgrad", "aligned", lambda a: (a(4096, 64), a(4096, 64), a(64), a(64), a.positive(64), 1e-3)),
    Case("local_response_norm_fprop", "aligned", lambda a: (a(64, 64), 2, 1.0, 1e-4, 0.75)),
    Case("local_response_norm_dgrad", "aligned", lambda a: (a(64, 64), a(64, 64), a.positive(64, 64), 2, 1e-4, 0.75)),
    Case("embedding_gather", "aligned", lambda a: (a(64, 128), a.whole(64, 128))),
    Case("embedding_scatter", "aligned", lambda a: (a(128, 128), a.whole(64, 128), 64)),
    Case("random_bits", "aligned", lambda a: (4096, 5, 7)),
    Case("random_uniform", "aligned", lambda a: ((4096,), 5, 7, a.dtype)),
    Case("random_normal", "aligned", lambda a: ((4096,), 5, 7, a.dtype)),
    Case("dropout", "aligned", lambda a: (a(4096), 0.4, 5, 7)),
    Case("cast", "aligned", lambda a: (a(4096), "float16")),
    *update_cases(lambda make: [make(64, 64), make(4096)]),
    Case("square_sum", "aligned", lambda a: ([a(64, 64), a(4096)],)),
    *(Case("matmul", "as stored", lambda a: (a(128, 64), a(64, 128)), tile=tile) for tile in (1, 2)),
    Case("matmul", "a transposed", lambda a: (a(64, 128), a(64, 128), True), tile=2),
    Case("matmul", "b transposed", lambda a: (a(128, 64), a(128, 64), False, True), tile=2),
    *(
        Case(
            "matmul",
            how if kind == "float32" else f"{how}, 16 bits",
            lambda a, t=t: (a(*t[0]), a(*t[1]), *t[2:]),
            (kind,),
            tile,
            capability,
        )
        for kind, tile, capability in (
            ("float16", 0, 90),
            ("float16", 1, 90),
            ("float16", 1, 75),
            ("bfloat16", 1, 90),
            ("float32", 0, 90),
        )
        for how, t in {
            "as stored": ((128, 64), (64, 128), False, False),
            "a transposed": ((64, 128), (64, 128), True, False),
            "b transposed": ((128, 64), (128, 64), False, True),
        }.items()
        if (kind, how) != ("float32", "as stored")
    ),
    *_aligned_conv("aligned", SQUARE),
    *_aligned_conv("three channels", STEM),
    *_aligned_conv("depthwise", DEPTHWISE),
    *pool_cases("aligned", Pool2DGeometry.of((2, 16, 16, 128), 2)),
    *pool_cases("aligned, the whole image", Pool2DGeometry.of((2, 16, 16, 128), 16)),
]

CACHED = "neighbouring scalars, read one after the other: the first brings the sectors of the others into the L1 cache"
RUNG = "a rung of the ladder that shows what the next one removes"
GATHERED = "pixels of three channels are gathered, which are neither aligned nor as long as a sector"
ONE_CHANNEL = "a product for each group, of one channel: what the kernel for depthwise convolution is there to avoid"
TWO_SUMS = "two sums an element; few accesses beside those of global memory"
REACHING = "neighbourhoods reach over the ends of sectors; the L1 cache has them"
CONVERTED = "8 float32 become one chunk of bfloat16, by two reads of 16 bytes: the L1 cache"
HALVED = "16 bits on CUDA cores become 32 on their way to shared memory; tensor cores are there for these products"
RANDOM = "the places are random here: neighbours come from other pixels"

# By kernel and call. A kernel or a call that is not here must not cost more than the ideal.
RATIOS = {
    ("batch_norm_sums", "aligned"): Ratio(wavefronts=2, why=TWO_SUMS),
    ("bias_activation", "aligned"): Ratio(sectors=4, why=f"bias: {CACHED}"),
    ("conv2d_dgrad", "depthwise"): Ratio(sectors=5.5, why=ONE_CHANNEL),
    ("conv2d_dgrad", "three channels"): Ratio(sectors=4, why="dx has three channels: its rows are stored one by one"),
    ("conv2d_direct", "three channels"): Ratio(
        sectors=4, wavefronts=1.3, why=f"bias: {CACHED}; the image's patch is stored as its rows end, not as warps do"
    ),
    ("conv2d_fprop", "aligned"): Ratio(sectors=4, why=f"bias: {CACHED}"),
    ("conv2d_fprop", "depthwise"): Ratio(sectors=4.3, why=ONE_CHANNEL),
    ("conv2d_fprop", "three channels"): Ratio(sectors=4, why=f"bias: {CACHED}"),
    ("conv2d_wgrad", "depthwise"): Ratio(sectors=3.4, why=ONE_CHANNEL),
    ("conv2d_wgrad", "three channels"): Ratio(sectors=1.65, why=GATHERED),
    ("depthwise_fprop", "depthwise"): Ratio(sectors=4, why=f"bias: {CACHED}"),
    ("layer_norm_sums", "rows of 128"): Ratio(wavefronts=2, why=TWO_SUMS),
    ("layer_norm_sums", "rows of 2048"): Ratio(wavefronts=2, why=TWO_SUMS),
    ("local_response_norm_dgrad", "aligned"): Ratio(sectors=1.1, why=REACHING),
    ("local_response_norm_fprop", "aligned"): Ratio(sectors=1.1, why=REACHING),
    ("cast", "aligned"): Ratio(sectors=2, why="8 float32 become one store of 16 bytes, by two reads of 16 bytes: L1"),
    ("matmul_mma", "a transposed"): Ratio(sectors=2, why=CONVERTED),
    ("matmul_mma", "as stored"): Ratio(sectors=2, why=CONVERTED),
    ("matmul_mma", "b transposed"): Ratio(sectors=2, why=CONVERTED),
    ("matmul_naive", "b transposed"): Ratio(sectors=6.6, why=RUNG),
    ("matmul_register", "a transposed"): Ratio(sectors=4, wavefronts=2, why=RUNG),
    ("matmul_register", "as stored"): Ratio(wavefronts=2, why=RUNG),
    ("matmul_register", "b transposed"): Ratio(sectors=4, wavefronts=2, why=RUNG),
    ("matmul_tiled", "a transposed"): Ratio(sectors=4, wavefronts=2, why=RUNG),
    ("matmul_tiled", "as stored"): Ratio(wavefronts=2, why=RUNG),
    ("matmul_tiled", "b transposed"): Ratio(sectors=4, wavefronts=2, why=RUNG),
    ("matmul_naive", "b transposed, 16 bits"): Ratio(sectors=11, why=RUNG),
    ("matmul_register", "a transposed, 16 bits"): Ratio(sectors=8, wavefronts=2, why=RUNG),
    ("matmul_register", "as stored, 16 bits"): Ratio(wavefronts=2, why=RUNG),
    ("matmul_register", "b transposed, 16 bits"): Ratio(sectors=8, wavefronts=2, why=RUNG),
    ("matmul_simt", "a transposed, 16 bits"): Ratio(wavefronts=2, why=HALVED),
    ("matmul_simt", "as stored, 16 bits"): Ratio(sectors=1.5, wavefronts=2, why=HALVED),
    ("matmul_simt", "b transposed, 16 bits"): Ratio(sectors=2, why=HALVED),
    ("matmul_tiled", "a transposed, 16 bits"): Ratio(sectors=8, wavefronts=2, why=RUNG),
    ("matmul_tiled", "as stored, 16 bits"): Ratio(wavefronts=2, why=RUNG),
    ("matmul_tiled", "b transposed, 16 bits"): Ratio(sectors=8, wavefronts=2, why=RUNG),
    ("max_pool_gather", "aligned"): Ratio(sectors=7, why=RANDOM),
    ("max_pool_gather", "aligned, the whole image"): Ratio(sectors=8, why=RANDOM),
}


def measured() -> dict[tuple[str, str], dict[str, tuple[float, str]]]:
    """For each kernel, aligned call and space the worst ratio of a line, and where that is."""
    worst: dict[tuple[str, str], dict[str, tuple[float, str]]] = {}
    functions()
    for case in ALIGNED:
        for record in implementations(case.op, "cuda"):
            forced = use_implementation(case.op, record.name), case.setting(), emulation(check=True)
            with reporting() as reports, contextlib.ExitStack() as stack:
                for context in (contextlib.suppress(UnsupportedCallError), *forced):
                    stack.enter_context(context)
                case(Inputs(case.dtypes[0], random=True))
            for report in reports:
                of_call = worst.setdefault((report.kernel, case.label), {"global": (1.0, ""), "shared": (1.0, "")})
                for counter in report.counters:
                    line = counter.ratio, f"{case.op}, {record.name}, {case.label}: {counter}"
                    of_call[counter.space] = max(of_call[counter.space], line)
    return worst


@needs_compiler
def test_traffic():
    """Every kernel is measured, and no call of one costs more, or clearly less, than is written down for it."""
    worst_lines = measured()
    missing = {kernel for _, kernel in kernels()} - {kernel for kernel, _ in worst_lines}
    assert not missing, f"without an aligned call: {sorted(missing)}"
    unknown = {place for place in RATIOS if place not in worst_lines}
    assert not unknown, f"recorded, and never launched: {sorted(unknown)}"
    problems = []
    for (kernel, label), worst in worst_lines.items():
        allowed = RATIOS.get((kernel, label), Ratio())
        for space, limit in (("global", allowed.sectors), ("shared", allowed.wavefronts)):
            ratio, line = worst[space]
            if ratio > limit * 1.01:
                problems.append(f"{kernel} costs more than {limit} times the ideal: {line}")
            elif ratio < limit * 0.9:
                problems.append(
                    f"{kernel} may cost {limit} times the ideal in {space} memory ({label}), and costs {ratio:.2f}"
                )
    assert not problems, "\n".join(problems)


def test_every_ratio_above_the_ideal_has_a_reason():
    assert [name for name, ratio in RATIOS.items() if max(ratio.sectors, ratio.wavefronts) > 1 and not ratio.why] == []

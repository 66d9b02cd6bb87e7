"""``deepcore emulate``: run a CUDA kernel on this machine's processor and say what is wrong with it."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepcore.cli.terminal import fail, sentences, shape

if TYPE_CHECKING:
    from deepcore.kernels.emulator import Report

FOUND = 1
SMALL = 64


def emulate(
    source: Annotated[Path, typer.Argument(metavar="FILE.cu", help='CUDA C++ with extern "C" kernels.')],
    kernel: Annotated[str, typer.Argument(metavar="NAME", help="The kernel to launch.")],
    grid: Annotated[str, typer.Option(metavar="SIZE", help="Blocks: 4, or 4x2, or 4x2x2.")] = "1",
    block: Annotated[str, typer.Option(metavar="SIZE", help="Threads a block: 128, or 16x16.")] = "32",
    arg: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="n=1024, a=0.5, p=none, x=FILE.npy, or x=DTYPE:SHAPE:FILL with fill zeros, ones, arange, random or "
            "empty (an output: it must be written before it is read); repeatable.",
        ),
    ] = None,
    shared: Annotated[int, typer.Option(min=0, metavar="BYTES", help="Dynamic shared memory.")] = 0,
    define: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A macro; repeatable.")] = None,
    include: Annotated[list[Path] | None, typer.Option(metavar="DIR", help="Where headers are; repeatable.")] = None,
    check: Annotated[
        bool, typer.Option("--check/--fast", help="Watch every access: races, bounds, counters; or only run.")
    ] = False,
    schedule: Annotated[str, typer.Option(metavar="NAME", help="Order of threads: fifo, lifo or random.")] = "fifo",
    seed: Annotated[int, typer.Option(metavar="N", help="Of the random schedule and of random values.")] = 0,
) -> None:
    """Run a CUDA kernel without a GPU, and print what is wrong with it and what its accesses cost.

    Needs g++. The status is 1 if anything was found. Outputs of up to 64 elements are printed.

    [bold]Examples[/bold]

    deepcore emulate saxpy.cu saxpy --grid 4 --block 256 --arg x=float32:1000:random --arg y=float32:1000:zeros
    --arg a=2.5 --arg n=1000 --check

    deepcore emulate reduce.cu sum --block 128 --define T=float --arg x=float32:64x64:arange --arg y=float32:1:empty
    --schedule random --seed 3
    """
    import numpy as np

    from deepcore.kernels.emulator import BuildError, CompilerNotFoundError, Module

    with sentences():
        try:
            module = Module(source, _macros(define or ()), check=check, include=include or ())
        except (BuildError, CompilerNotFoundError) as problem:
            fail(problem)
        rng = np.random.default_rng(seed)
        values: dict[str, Any] = {}
        outputs = set()
        for text in arg or ():
            name, equals, value = text.partition("=")
            if not equals:
                raise ValueError(f"--arg {text!r} has no value. Write NAME=VALUE, such as n=1024.")
            values[name] = _value(name, value, rng)
            if value.endswith(":empty"):
                outputs.add(name)
        report = module.launch(
            kernel,
            shape(grid),
            shape(block),
            values,
            shared=shared,
            schedule=schedule,
            seed=seed,
            uninitialized=outputs,
            strict=False,
        )
    written = [p.name for p in module.signatures[kernel].parameters if p.is_pointer and not p.is_const]
    _print(report, {name: values[name] for name in written if values[name] is not None}, check)
    if report.findings:
        raise typer.Exit(FOUND)


def _macros(defines: Any) -> dict[str, object]:
    pairs = (text.partition("=") for text in defines)
    return {name: value if equals else True for name, equals, value in pairs}


def _value(name: str, text: str, rng: Any) -> Any:
    """The argument that ``text`` writes: a number, ``None``, a file's array, or a new array."""
    import numpy as np

    if text == "none":
        return None
    if text.endswith(".npy"):
        return np.load(text)
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    with contextlib.suppress(ValueError):
        return float(text)
    dtype, _, rest = text.partition(":")
    sizes, _, fill = rest.partition(":")
    if not sizes:
        raise ValueError(
            f"--arg {name}={text} is no number, no .npy file and no DTYPE:SHAPE:FILL such as float32:1024:random."
        )
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise ValueError(f"--arg {name}={text}: NumPy knows no dtype {dtype!r}.") from None
    return _filled(kind, shape(sizes), fill or "zeros", rng)


def _filled(dtype: Any, sizes: tuple[int, ...], fill: str, rng: Any) -> Any:
    import math

    import numpy as np

    from deepcore.errors import unknown_name

    fills: dict[str, Any] = {
        "zeros": lambda: np.zeros(sizes),
        "ones": lambda: np.ones(sizes),
        "arange": lambda: np.arange(math.prod(sizes)).reshape(sizes),
        "random": lambda: rng.standard_normal(sizes) if dtype.kind == "f" else rng.integers(0, 100, sizes),
        "empty": lambda: np.zeros(sizes),
    }
    if fill not in fills:
        raise unknown_name("fill", fill, fills)
    return np.ascontiguousarray(fills[fill]().astype(dtype))


def _print(report: Report, written: dict[str, Any], check: bool) -> None:
    import sys

    import numpy as np
    from rich.text import Text

    from deepcore.benchmarks.table import Column, console, render

    out = console(sys.stdout)
    for finding in report.findings:
        typer.secho(f"{finding}", fg=typer.colors.RED)
    if not report.findings:
        checked = (
            "races, bounds, initialisation, divergence" if check else "divergence and deadlock; --check finds more"
        )
        typer.secho(f"No findings ({checked}).", fg=typer.colors.GREEN)
    if report.counters:
        columns = (
            Column("line"),
            Column("memory"),
            Column("access"),
            Column("requests", right=True),
            Column("threads", right=True),
            Column("cost", right=True),
            Column("ideal", right=True),
            Column("times", right=True),
        )
        poor = set(report.lint())
        rows = [
            [
                Text(cell, style="yellow" if counter in poor else "")
                for cell in (
                    f"{Path(counter.file).name}:{counter.line}",
                    counter.space,
                    f"{counter.operation} {counter.size} B",
                    f"{counter.requests:,}",
                    f"{counter.threads:,}",
                    f"{counter.cost:,} {counter.unit}",
                    f"{counter.ideal:,}",
                    f"{counter.ratio:.2f}",
                )
            ]
            for counter in report.counters
        ]
        render(out, columns, rows, f"{report.kernel}: what its accesses cost")
    for name, array in written.items():
        if array.size <= SMALL:
            typer.echo(f"{name} = {np.array2string(array, separator=', ', prefix=f'{name} = ')}")

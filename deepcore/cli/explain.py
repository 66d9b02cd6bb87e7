"""``deepcore explain``: which implementation a call takes, and why."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from deepcore.cli.terminal import fail, pair, sentences, shape


def explain(
    op: Annotated[str, typer.Argument(help="conv2d, max_pool2d, avg_pool2d, matmul, …, or one direction of it.")],
    shapes: Annotated[list[str], typer.Argument(help="Sizes of the operands, such as 32x224x224x3 3x3x3x64.")],
    strides: Annotated[str | None, typer.Option(metavar="SIZE", help="2, or height x width: 2x1.")] = None,
    padding: Annotated[str | None, typer.Option(metavar="PAD", help="same, valid, 1, or height x width: 1x2.")] = None,
    dilation: Annotated[str | None, typer.Option(metavar="SIZE", help="2, or height x width: 2x1.")] = None,
    groups: Annotated[int | None, typer.Option(metavar="N", help="Groups of a convolution.")] = None,
    pool_size: Annotated[str | None, typer.Option(metavar="SIZE", help="Window of a pooling: 2, or 3x2.")] = None,
    transpose_a: Annotated[bool, typer.Option("--transpose-a", help="The left matrix is stored transposed.")] = False,
    transpose_b: Annotated[bool, typer.Option("--transpose-b", help="The right matrix is stored transposed.")] = False,
    dtype: Annotated[str, typer.Option(metavar="NAME", help="float16, float32, float64.")] = "float32",
    device: Annotated[str, typer.Option(metavar="NAME", help="Where the arrays are: cpu, cuda or emulator.")] = "cpu",
) -> None:
    """Say which implementation a call takes and why, and why not the others, for every direction.

    Images are NHWC, kernels HWIO (height x width x in_channels / groups x out_channels).

    [bold]Examples[/bold]

    deepcore explain conv2d 32x224x224x3 3x3x3x64 --strides 2 --padding same

    deepcore explain max_pool2d 32x112x112x64 --pool-size 2

    deepcore explain matmul 128x784 784x512 --device cuda
    """
    from deepcore.backend.explain import explain as explanation_of

    with sentences():
        options: dict[str, Any] = {
            "strides": None if strides is None else pair(strides, "--strides"),
            "padding": padding if padding is None or padding.isalpha() else pair(padding, "--padding"),
            "dilation": None if dilation is None else pair(dilation, "--dilation"),
            "groups": groups,
            "pool_size": None if pool_size is None else pair(pool_size, "--pool-size"),
            "transpose_a": transpose_a or None,
            "transpose_b": transpose_b or None,
        }
        given = {name: value for name, value in options.items() if value is not None}
        explanation = explanation_of(op, *map(shape, shapes), dtype=dtype, device=device, **given)

    _print(explanation)
    lost = [section.title for section in explanation.sections if section.chosen is None]
    if lost:
        fail(f"No implementation serves {', '.join(lost)} with {dtype} on {device}; the reasons are above.", code=1)


def _print(explanation: Any) -> None:
    import sys

    from rich.text import Text

    from deepcore.backend.explain import cells
    from deepcore.benchmarks.table import CHOSEN, Column, console, render

    columns = (
        Column("implementation"),
        Column("device"),
        Column("estimate", right=True),
        Column("why", flexible=True),
    )
    out = console(sys.stdout)
    for section in explanation.sections:
        rows = []
        for choice in section.choices:
            _, name, device, seconds, why = cells(choice)
            style = "bold green" if choice.chosen else "" if choice.ok else "dim"
            label = f"{CHOSEN if choice.chosen else ' '} {name}"
            rows.append([Text(text, style=style) for text in (label, device, seconds, why)])
        where = f"{explanation.dtype_of(section)} on {explanation.device}"
        render(out, columns, rows, f"{section.title} · {where} · {section.sizes}")

"""The table that ``Model.summary`` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from deepcore.layers.layer import Layer


def show(
    model: Any, line_length: int | None, print_fn: Callable[[str], Any] | None, nested: bool, show_trainable: bool
) -> None:
    """Prints the table, or calls ``print_fn`` with it."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=line_length, record=print_fn is not None, quiet=False, highlight=False)
    table = Table(show_lines=False, header_style="bold")
    table.add_column("Layer (type)", overflow="fold")
    table.add_column("Output shape", overflow="fold")
    table.add_column("Parameters", justify="right")
    if show_trainable:
        table.add_column("Trainable", justify="center")
    for depth, layer, shape in _rows(model, nested):
        row = [f"{'  ' * depth}{layer.name} ({type(layer).__name__})", shape, _count(layer)]
        table.add_row(*row, *([("yes" if layer.trainable else "no")] if show_trainable else []))
    parts: list[Any] = [f'Model: "{model.name}"', table, *_totals(model)]
    if print_fn is None:
        for part in parts:
            console.print(part)
        return
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    print_fn(captured.get().rstrip())


def _rows(model: Any, nested: bool, depth: int = 0, shape: Any = None) -> Iterator[tuple[int, Layer, str]]:
    shape = getattr(model, "input_shape", None) if shape is None else shape
    chained = hasattr(model, "input_shape")
    for layer in model.layers:
        text = "?"
        before = shape
        if chained and shape is not None:
            shape = layer.compute_output_shape(shape)
            text = str(tuple(shape))
        yield depth, layer, text
        if nested and hasattr(layer, "layers"):
            yield from _rows(layer, nested, depth + 1, before)


def _count(layer: Layer) -> str:
    if not layer.built and not layer.weights:
        return "not built"
    return f"{layer.count_params():,}"


def _totals(model: Any) -> list[str]:
    if not model.built:
        return ["Not built yet: call it with data, or add an Input, to see shapes and parameters."]
    trainable = sum(v.size for v in model.trainable_weights)
    size = sum(v.data.nbytes for v in model.weights)
    total = sum(v.size for v in model.weights)
    return [
        f"Parameters: {total:,} ({_bytes(size)})",
        f"  trainable: {trainable:,}",
        f"  not trainable: {total - trainable:,}",
    ]


def _bytes(size: int) -> str:
    """A size in memory.

    >>> _bytes(1000), _bytes(5 * 1024**2)
    ('1000 B', '5.00 MB')
    """
    if size < 1024:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, 3)
    return f"{size / 1024**power:.2f} {('KB', 'MB', 'GB')[power - 1]}"

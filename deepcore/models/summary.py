"""The table that ``Model.summary`` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from deepcore.layers.layer import Layer
from deepcore.structure import map_shapes, shape_leaves


def show(
    model: Any,
    line_length: int | None,
    print_fn: Callable[[str], Any] | None,
    nested: bool,
    show_trainable: bool,
    layer_range: Any = None,
) -> None:
    """Prints the table, or calls ``print_fn`` with it."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=line_length, record=print_fn is not None, quiet=False, highlight=False)
    drawn = model.graph is not None and not isinstance(model, _sequential())
    table = Table(show_lines=False, header_style="bold")
    table.add_column("Layer (type)", overflow="fold")
    table.add_column("Output Shape", overflow="fold")
    table.add_column("Param #", justify="right")
    if drawn:
        table.add_column("Connected to", overflow="fold")
    if show_trainable:
        table.add_column("Trainable", justify="center")
    rows = list(_rows(model, nested))
    for depth, layer, shape, sources in _between(rows, layer_range):
        row = [f"{'  ' * depth}{layer.name} ({type(layer).__name__})", shape, _count(layer)]
        row += [sources or "-"] if drawn else []
        table.add_row(*row, *([_trainable(layer)] if show_trainable else []))
    parts: list[Any] = [f'Model: "{model.name}"', table, *_totals(model)]
    if print_fn is None:
        for part in parts:
            console.print(part)
        return
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    print_fn(captured.get().rstrip())


Row = tuple[int, Any, str, str]


def _rows(model: Any, nested: bool, depth: int = 0) -> Iterator[Row]:
    """Each operation with its depth of nesting, the shapes that it gives in this model, and what it is given."""
    if model.graph is None:
        for layer in model.layers:
            yield depth, layer, _own_shape(layer), ""
            if nested and hasattr(layer, "layers"):
                yield from _rows(layer, nested, depth + 1)
        return
    operations = model.graph.operations
    if isinstance(model, _sequential()):
        operations = model.layers
    shapes: dict[int, str] = {}
    sources: dict[int, str] = {}
    for node in model.graph.nodes:
        key = id(node.operation)
        shapes.setdefault(key, ", ".join(str(output.shape) for output in node.outputs))
        names = [_place(x) for x in node.inputs if x.node is not None]
        sources[key] = ", ".join([*filter(None, [sources.get(key, "")]), *names])
    for layer in model.graph.input_layers:
        shapes.setdefault(id(layer), str(layer.batch_shape))
    for operation in operations:
        yield depth, operation, shapes.get(id(operation), "?"), sources.get(id(operation), "")
        if nested and hasattr(operation, "layers"):
            yield from _rows(operation, nested, depth + 1)


def _between(rows: list[Row], layer_range: Any) -> list[Row]:
    """The rows from the first to the last layer that ``layer_range`` names."""
    if layer_range is None:
        return rows
    first, last = layer_range
    places = []
    for name in (first, last):
        found = [i for i, (_, layer, _, _) in enumerate(rows) if layer.name == name]
        if not found:
            raise ValueError(f"layer_range names {name!r}, which is no layer of the model.")
        places.append(found[0])
    return rows[places[0] : places[1] + 1]


def _sequential() -> Any:
    from deepcore.models.sequential import Sequential

    return Sequential


def _count(layer: Any) -> str:
    if not isinstance(layer, Layer):
        return "0"
    if not layer.built and not layer.weights:
        return "not built"
    return f"{layer.count_params():,}"


def _trainable(layer: Any) -> str:
    """Whether a layer that has weights may change them."""
    return "-" if not isinstance(layer, Layer) or not layer.weights else "Y" if layer.trainable else "N"


def _own_shape(layer: Any) -> str:
    """What a layer that was built, but not drawn, gives for the shape that it was built for."""
    shape = (layer.get_build_config() or {}).get("input_shape") if layer.built else None
    if shape is None:
        return "?"
    try:
        shapes = layer.compute_output_shape(map_shapes(_of_any_batch, shape))
        return ", ".join(str(_of_any_batch(one)) for one in shape_leaves(shapes))
    except (AttributeError, NotImplementedError, TypeError, ValueError):  # it cannot tell without data
        return "?"


def _of_any_batch(shape: Any) -> Any:
    return shape and (None, *shape[1:])


def _place(x: Any) -> str:
    """The operation that a tensor comes from, with the number of the call and of the output."""
    operation = x.node.operation
    calls = getattr(operation, "_inbound_nodes", [x.node])
    return f"{operation.name}[{next((i for i, node in enumerate(calls) if node is x.node), 0)}][{x.index}]"


def _totals(model: Any) -> list[str]:
    if not model.built:
        return ["Not built yet: call it with data, or add an Input, to see shapes and parameters."]
    optimizer = model.optimizer.variables if model.optimizer is not None and model.optimizer.built else []
    kinds = [
        ("Trainable", model.trainable_weights),
        ("Non-trainable", model.non_trainable_weights),
        *([("Optimizer", optimizer)] if optimizer else []),
    ]
    kinds.insert(0, ("Total", [v for _, variables in kinds for v in variables]))
    return [
        f" {kind} params: {sum(v.size for v in variables):,} ({_bytes(_held(variables))})" for kind, variables in kinds
    ]


def _held(variables: Any) -> int:
    """Bytes of all of them together."""
    return sum(v.size * v.dtype.itemsize for v in variables)


def _bytes(size: int) -> str:
    """A size in memory.

    >>> _bytes(1000), _bytes(5 * 1024**2)
    ('1000.00 B', '5.00 MB')
    """
    power = min(max(size.bit_length() - 1, 0) // 10, 3)
    return f"{size / 1024**power:.2f} {('B', 'KB', 'MB', 'GB')[power]}"

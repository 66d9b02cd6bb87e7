"""Networks as pictures: a box for each call of a layer, written as SVG, or as the text that Graphviz draws from."""

from __future__ import annotations

import importlib
import itertools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from deepcore.structure import leaves
from deepcore.utils.layout import place

_LETTER, _LINE, _MARGIN = 7.3, 18.0, 10.0
_DIRECTIONS = ("TB", "BT", "LR", "RL")


class _Show:
    """What the boxes show."""

    def __init__(self, shapes: bool, dtype: bool, names: bool, activations: bool, trainable: bool) -> None:
        self.shapes, self.dtype, self.names = shapes, dtype, names
        self.activations, self.trainable = activations, trainable

    def lines(self, operation: Any, path: str, node: Any, call: int) -> list[str]:
        """A title, and a line for each thing asked for."""
        kind = type(operation).__name__
        title = f"{path}{operation.name} ({kind})" if self.names else kind
        lines = [title + (f", call {call}" if call > 1 else "")]
        outputs = node.outputs if node is not None else []
        if self.activations and getattr(operation, "activation", None) is not None:
            activation = operation.activation
            lines.append(f"activation: {getattr(activation, '__name__', type(activation).__name__)}")
        if self.shapes:
            if node is not None and node.inputs:
                lines.append("input: " + ", ".join(str(tensor.shape) for tensor in node.inputs))
            lines.append("output: " + (", ".join(str(tensor.shape) for tensor in outputs) or "?"))
            count = operation.count_params() if getattr(operation, "built", False) else 0
            if count:
                lines.append(f"parameters: {count:,}")
        if self.dtype:
            lines.append("dtype: " + (", ".join(sorted({str(tensor.dtype) for tensor in outputs})) or "?"))
        if self.trainable and getattr(operation, "weights", None):
            lines.append("trainable" if operation.trainable else "not trainable")
        return lines


class _Drawing:
    """Boxes, each a list of lines, and edges between their numbers."""

    def __init__(self, model: Any, show: _Show, expand_nested: bool) -> None:
        self.boxes: list[list[str]] = []
        self.edges: list[tuple[int, int]] = []
        self.show, self.expand_nested = show, expand_nested
        self.calls: dict[int, int] = {}
        if getattr(model, "graph", None) is None:
            if not model.built:
                raise ValueError(
                    f"The model {model.name!r} is not built, so it has nothing to draw. Call it with data, call "
                    "build() with a shape, or begin it with an Input."
                )
            self._box(model, "", None)
        else:
            self._draw(model.graph, "", None)

    def _box(self, operation: Any, path: str, node: Any) -> int:
        call = self.calls[id(operation)] = self.calls.get(id(operation), 0) + 1
        self.boxes.append(self.show.lines(operation, path, node, call))
        return len(self.boxes) - 1

    def _draw(self, graph: Any, path: str, sources: list[int] | None) -> list[int]:
        """Adds a graph, its inputs from boxes ``sources``; gives the boxes of its outputs."""
        makers: dict[int, int] = {}
        for i, (tensor, layer) in enumerate(zip(leaves(graph.inputs), graph.input_layers, strict=True)):
            makers[id(tensor)] = self._box(layer, path, _Input(tensor))
            if sources is not None:
                self.edges.append((sources[i], makers[id(tensor)]))
        for node in graph.nodes:
            given = [makers[id(tensor)] for tensor in node.inputs]
            inner = getattr(node.operation, "graph", None)
            if self.expand_nested and inner is not None and len(leaves(inner.inputs)) == len(given):
                made = self._draw(inner, f"{path}{node.operation.name}/", given)
                boxes = made if len(made) == len(node.outputs) else made[:1] * len(node.outputs)
            else:
                box = self._box(node.operation, path, node)
                self.edges.extend((source, box) for source in dict.fromkeys(given))
                boxes = [box] * len(node.outputs)
            makers.update((id(tensor), box) for tensor, box in zip(node.outputs, boxes, strict=True))
        return [makers[id(tensor)] for tensor in leaves(graph.outputs)]

    def svg(self, rankdir: str) -> str:
        sizes = [(max(map(len, box)) * _LETTER + 2 * _MARGIN, len(box) * _LINE + _MARGIN) for box in self.boxes]
        flat = rankdir in ("LR", "RL")
        centres, paths = place([size[::-1] if flat else size for size in sizes], self.edges)

        def point(across: float, along: float) -> tuple[float, float]:
            along = -along if rankdir in ("BT", "RL") else along
            return (along, across) if flat else (across, along)

        middles = [point(*centre) for centre in centres]
        corners = [point(*p) for path in paths for p in path]
        for (x, y), (width, height) in zip(middles, sizes, strict=True):
            corners += [(x - width / 2, y - height / 2), (x + width / 2, y + height / 2)]
        left, top = (min(corner[i] for corner in corners) - 16 for i in (0, 1))
        width, height = (max(corner[i] for corner in corners) + 16 - low for i, low in ((0, left), (1, top)))
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="{left:.1f} {top:.1f} {width:.1f} {height:.1f}" font-family="DejaVu Sans Mono, monospace" '
            'font-size="12">',
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#555"/></marker></defs>',
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="white"/>',
        ]
        for path in paths:
            steps = [f"M{_at(point(*path[0]))}"]
            for a, b in itertools.pairwise(path):
                middle = (a[1] + b[1]) / 2
                steps.append(f"C{_at(point(a[0], middle))} {_at(point(b[0], middle))} {_at(point(*b))}")
            parts.append(f'<path d="{" ".join(steps)}" fill="none" stroke="#555" marker-end="url(#arrow)"/>')
        for (x, y), (w, h), lines in zip(middles, sizes, self.boxes, strict=True):
            parts.append(
                f'<rect x="{x - w / 2:.1f}" y="{y - h / 2:.1f}" width="{w:.1f}" height="{h:.1f}" rx="4" '
                'fill="#eef3fa" stroke="#30507a"/>'
            )
            for i, line in enumerate(lines):
                weight = "" if i else ' font-weight="bold"'
                at = y - h / 2 + _MARGIN / 2 + (i + 0.7) * _LINE
                parts.append(f'<text x="{x:.1f}" y="{at:.1f}" text-anchor="middle"{weight}>{escape(line)}</text>')
        return "\n".join([*parts, "</svg>", ""])

    def dot(self, rankdir: str, dpi: int) -> str:
        lines = ["digraph model {", f"  graph [rankdir={rankdir}, dpi={dpi}];", "  node [shape=box];"]
        for i, box in enumerate(self.boxes):
            label = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in box)
            lines.append(f'  {i} [label="{label}"];')
        lines += [f"  {source} -> {target};" for source, target in self.edges]
        return "\n".join([*lines, "}", ""])


class _Input:
    """What an input has of a call."""

    def __init__(self, tensor: Any) -> None:
        self.inputs: list[Any] = []
        self.outputs = [tensor]


def _at(point: tuple[float, float]) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


def _checked(rankdir: str) -> str:
    if rankdir not in _DIRECTIONS:
        raise ValueError(f"rankdir must be one of {', '.join(_DIRECTIONS)}; got {rankdir!r}.")
    return rankdir


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> str:
    """The model as text in Graphviz's language; the arguments are those of ``plot_model``."""
    show = _Show(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    return _Drawing(model, show, expand_nested).dot(_checked(rankdir), dpi)


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> None:
    """Draws a built model: a box for each call of a layer, an arrow for each tensor.

    Args:
        to_file: ``.svg`` and ``.dot`` need nothing more; ``.png`` needs CairoSVG, or Graphviz's ``dot``, which makes
            its other formats, too.
        show_shapes: of inputs and outputs, and the number of parameters.
        show_dtype, show_layer_names, show_layer_activations, show_trainable: more lines in the boxes.
        rankdir: where arrows run: ``"TB"`` down, ``"BT"`` up, ``"LR"`` right, ``"RL"`` left.
        expand_nested: draw the layers of models within the model; their names begin with the model's.
        dpi: dots an inch of a ``.png``, of 96 units of the drawing.

    Raises ``ValueError`` for a model that is not built or another ``rankdir``, ``ImportError`` if what draws the
    format is not installed.
    """
    path = Path(to_file)
    show = _Show(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    drawing = _Drawing(model, show, expand_nested)
    ending = path.suffix[1:].lower() or "png"
    if ending == "svg":
        path.write_text(drawing.svg(_checked(rankdir)), encoding="utf-8")
    elif ending in ("dot", "gv"):
        path.write_text(drawing.dot(_checked(rankdir), dpi), encoding="utf-8")
    elif shutil.which("dot"):
        text = drawing.dot(_checked(rankdir), dpi)
        subprocess.run(["dot", f"-T{ending}", "-o", str(path)], input=text, text=True, check=True)
    elif ending == "png":
        try:
            cairosvg = importlib.import_module("cairosvg")
        except ImportError as error:
            raise ImportError(
                f"plot_model: {path.name} needs CairoSVG (pip install cairosvg) or Graphviz's program dot; neither is "
                "here. A name that ends in .svg needs nothing more."
            ) from error
        cairosvg.svg2png(bytestring=drawing.svg(_checked(rankdir)).encode(), write_to=str(path), scale=dpi / 96)
    else:
        raise ImportError(f"plot_model: {path.name} needs Graphviz's program dot. A name that ends in .svg does not.")

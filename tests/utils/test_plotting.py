"""Pictures of models: every layer, every arrow, and no box over another or under an edge."""

from __future__ import annotations

import re
import sys
from xml.etree import ElementTree

import pytest

from deepcore import Model, Sequential, utils
from deepcore.layers import Add, Concatenate, Dense, Input
from deepcore.utils.layout import place

SVG = "{http://www.w3.org/2000/svg}"


def branching():
    x = Input((8,), name="x")
    trunk = Dense(8, activation="relu", name="trunk")(x)
    arms = [Dense(4, name=f"arm_{i}")(trunk) for i in range(4)]
    deep = arms[0]
    for i in range(4):
        deep = Dense(4, name=f"deep_{i}")(deep)
    joined = Concatenate(name="joined")([deep, *arms[1:]])
    out = Dense(8, name="out")(joined)
    return Model(x, [Add(name="skip")([out, x]), Dense(1, name="value")(joined)], name="branching")


def drawn(model, path, **options):
    utils.plot_model(model, path, **options)
    root = ElementTree.parse(path).getroot()
    texts = [text.text for text in root.iter(f"{SVG}text")]
    boxes = [[float(rect.get(k)) for k in ("x", "y", "width", "height")] for rect in root.iter(f"{SVG}rect")][1:]
    edges = [path for path in root.iter(f"{SVG}path") if path.get("marker-end")]
    return texts, boxes, edges


@pytest.mark.parametrize("rankdir", ["TB", "BT", "LR", "RL"])
def test_every_layer_has_a_box_of_its_own(tmp_path, rankdir):
    model = branching()
    texts, boxes, edges = drawn(model, tmp_path / "a.svg", show_layer_names=True, rankdir=rankdir)
    assert sorted(texts) == sorted(f"{layer.name} ({type(layer).__name__})" for layer in model.layers)
    assert len(edges) == 1 + 4 + 4 + 4 + 1 + 2 + 1
    for i, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_edges_run_with_the_layers_and_pass_beside_boxes():
    sizes = [(100.0, 30.0)] * 5
    edges = [(0, 1), (1, 2), (2, 3), (0, 3), (3, 4)]
    centres, paths = place(sizes, edges)
    assert [y for _, y in centres] == sorted(y for _, y in centres)
    for (source, target), points in zip(edges, paths, strict=True):
        assert points[0] == (centres[source][0], centres[source][1] + 15)
        assert points[-1] == (centres[target][0], centres[target][1] - 15)
        for x, y in points[1:-1]:
            assert not any(abs(x - cx) < 50 and abs(y - cy) <= 15 for cx, cy in centres)


def test_boxes_show_what_is_asked_for(tmp_path):
    model = Sequential([Input((3,)), Dense(2, activation="relu", name="first")])
    model.layers[0].trainable = False
    texts, _, _ = drawn(model, tmp_path / "a.svg")
    assert texts == ["InputLayer", "Dense"]
    texts, _, _ = drawn(
        model,
        tmp_path / "a.svg",
        show_shapes=True,
        show_dtype=True,
        show_layer_names=True,
        show_layer_activations=True,
        show_trainable=True,
    )
    assert texts[-7:] == [
        "first (Dense)",
        "activation: relu",
        "input: (None, 3)",
        "output: (None, 2)",
        "parameters: 8",
        "dtype: float32",
        "not trainable",
    ]


def test_models_within_a_model_are_drawn_when_asked_for(tmp_path):
    inner = Sequential([Input((3,)), Dense(4, name="a"), Dense(3, name="b")], name="inner")
    x = Input((3,), name="x")
    model = Model(x, Dense(1, name="end")(inner(x)))
    texts, _, edges = drawn(model, tmp_path / "a.svg", show_layer_names=True)
    assert texts == ["x (InputLayer)", "inner (Sequential)", "end (Dense)"]
    texts, _, edges = drawn(model, tmp_path / "a.svg", show_layer_names=True, expand_nested=True)
    assert [text for text in texts if "Input" not in text] == ["inner/a (Dense)", "inner/b (Dense)", "end (Dense)"]
    assert len(edges) == 4


def test_graphviz_text_names_boxes_and_edges():
    text = utils.model_to_dot(branching(), rankdir="LR")
    assert "rankdir=LR" in text
    assert 'label="joined (Concatenate)"' in text
    assert len(re.findall(r"\d+ -> \d+;", text)) == 17


def test_what_cannot_be_drawn_says_why(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="not built"):
        utils.plot_model(Sequential([Dense(2)]), tmp_path / "a.svg")
    with pytest.raises(ValueError, match="rankdir"):
        utils.plot_model(branching(), tmp_path / "a.svg", rankdir="up")
    monkeypatch.setitem(sys.modules, "cairosvg", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImportError, match="pip install cairosvg"):
        utils.plot_model(branching(), tmp_path / "a.png")
    with pytest.raises(ImportError, match="Graphviz"):
        utils.plot_model(branching(), tmp_path / "a.pdf")
    assert list(tmp_path.iterdir()) == []


def test_graphviz_draws_other_formats_where_it_is_installed(tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\nread line\nprintf "%s %s" "$1" "$line" > "$3"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    utils.plot_model(branching(), tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_text() == "-Tpdf digraph model {"

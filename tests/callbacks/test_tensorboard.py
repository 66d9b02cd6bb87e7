"""Event files, read back by a parser of their own, and by TensorBoard's where it is installed."""

from __future__ import annotations

import importlib.util
import struct
import zlib

import numpy as np
import pytest

from deepcore.callbacks import TensorBoard
from deepcore.callbacks.event_file import EventFile, crc32c, masked
from deepcore.layers import Dense, Input
from deepcore.models import Model


def fields(data):
    """The fields of a protocol-buffers message: (number, value), bytes where the value is of some length."""
    found, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            found.append((key >> 3, varint()))
            continue
        size = {1: 8, 5: 4}.get(kind) or varint()
        assert kind in (1, 2, 5)
        found.append((key >> 3, data[at : at + size]))
        at += size
    assert at == len(data)
    return found


def records(path):
    """The data of each record of a file, whose checksums are right."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        assert struct.unpack_from("<I", data, at + 8) == (masked(data[at : at + 8]),)
        found.append(data[at + 12 : at + 12 + length])
        assert struct.unpack_from("<I", data, at + 12 + length) == (masked(found[-1]),)
        at += 16 + length
    return found


def read(directory):
    """The only file of a directory: values by tag as (step, plugin, fields of the tensor), and its graph."""
    (path,) = directory.iterdir()
    first, *events = (dict(fields(data)) for data in records(path))
    assert first[3] == b"brain.Event:2"
    values, graph = {}, None
    for event in events:
        assert abs(struct.unpack("<d", event[1])[0] - path.stat().st_mtime) < 600
        if 4 in event:
            graph = event[4]
            continue
        value = dict(fields(dict(fields(event[5]))[1]))
        plugin = dict(fields(dict(fields(value[9]))[1]))[1].decode()
        values.setdefault(value[1].decode(), []).append((event.get(2, 0), plugin, fields(value[8])))
    return values, graph


def scalars(values):
    return {
        tag: [(step, struct.unpack("<f", dict(tensor)[5])[0]) for step, plugin, tensor in points]
        for tag, points in values.items()
        if points[0][1] == "scalars"
    }


def test_checksums():
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert masked(bytes(32)) == (((0x8A9136AA >> 15) | (0x8A9136AA << 17) & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


def test_curves_by_epoch(tmp_path, problem, model):
    board = TensorBoard(tmp_path, write_steps_per_second=True)
    told = model.fit(*problem, epochs=3, verbose=0, validation_split=0.2, callbacks=[board]).history
    train, graph = read(tmp_path / "train")
    found = scalars(train)
    assert sorted(found) == ["epoch_learning_rate", "epoch_loss", "epoch_mae", "epoch_steps_per_second"]
    assert found["epoch_loss"] == [(i, np.float32(value)) for i, value in enumerate(told["loss"])]
    assert found["epoch_learning_rate"] == [(i, np.float32(0.1)) for i in range(3)]
    validation = scalars(read(tmp_path / "validation")[0])
    assert validation["epoch_mae"] == [(i, np.float32(value)) for i, value in enumerate(told["val_mae"])]
    # 16 examples are trained on, one step an epoch.
    assert validation["evaluation_loss_vs_iterations"] == [
        (i + 1, np.float32(value)) for i, value in enumerate(told["val_loss"])
    ]
    nodes = [fields(node) for number, node in fields(graph) if number == 1]
    assert [[value.decode() for _, value in node] for node in nodes] == [
        ["input_layer", "InputLayer"],
        ["line", "Dense", "input_layer"],
    ] or [node[0][1].decode() for node in nodes][1:] == ["line"]


def test_curves_by_batch(tmp_path, problem, model):
    model.fit(*problem, batch_size=4, epochs=2, verbose=0, callbacks=[TensorBoard(tmp_path, update_freq=3)])
    found = scalars(read(tmp_path / "train")[0])
    assert [step for step, _ in found["batch_loss"]] == [3, 6, 9]
    assert "batch_mae" in found


def test_a_graph_has_its_edges(tmp_path):
    x = Input((3,), name="x")
    a, b = Dense(2, name="a")(x), Dense(2, name="b")(x)
    model = Model(x, Dense(1, name="top")(a + b))
    model.compile("sgd", "mse")
    model.fit(np.ones((2, 3)), np.ones((2, 1)), verbose=0, callbacks=[TensorBoard(tmp_path)])
    nodes = [fields(node) for number, node in fields(read(tmp_path / "train")[1]) if number == 1]
    inputs = {node[0][1].decode(): [value.decode() for number, value in node if number == 3] for node in nodes}
    assert (inputs["x"], inputs["a"], inputs["b"]) == ([], ["x"], ["x"])
    (middle,) = inputs["top"]
    assert inputs[middle] == ["a", "b"]


def test_histograms_and_images_of_weights(tmp_path, problem, model):
    board = TensorBoard(tmp_path, histogram_freq=2, write_images=True, write_graph=False)
    model.optimizer.learning_rate = 0.0
    model.fit(*problem, epochs=3, verbose=0, callbacks=[board])
    values, graph = read(tmp_path / "train")
    assert graph is None
    kernel = model.weights[0]
    points = values[f"{kernel.path}/histogram"]
    assert [(step, plugin) for step, plugin, _ in points] == [(0, "histograms"), (2, "histograms")]
    rows = np.frombuffer(dict(points[0][2])[6], "<f8").reshape(30, 3)
    counts, edges = np.histogram(np.float64(kernel.numpy()), 30)
    np.testing.assert_allclose(rows, np.stack([edges[:-1], edges[1:], counts], 1))
    bias = np.frombuffer(dict(values[f"{model.weights[1].path}/histogram"][0][2])[6], "<f8")
    np.testing.assert_array_equal(bias, [-0.5, 0.5, 1])
    step, plugin, tensor = values[f"{kernel.path}/image"][0]
    assert (step, plugin) == (0, "images")
    width, height, png = (value for number, value in tensor if number == 8)
    assert (int(width), int(height)) == (1, 3)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at = png.index(b"IDAT")
    (length,) = struct.unpack(">I", png[at - 4 : at])
    pixels = zlib.decompress(png[at + 4 : at + 4 + length])[1::2]
    w = kernel.numpy()[:, 0]
    assert list(pixels) == [round(float(v)) for v in (w - w.min()) / (w.max() - w.min()) * 255]


def test_an_evaluation_alone(tmp_path, problem, model):
    value = model.evaluate(*problem, verbose=0, return_dict=True, callbacks=[TensorBoard(tmp_path)])["mae"]
    assert scalars(read(tmp_path / "validation")[0])["evaluation_mae_vs_iterations"] == [(0, np.float32(value))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"profile_batch": 2}, "does not profile; got profile_batch=2"),
        ({"embeddings_freq": 1}, "does not write embeddings"),
        ({"update_freq": "step"}, "update_freq is 'epoch', 'batch' or a number of batches; got 'step'"),
        ({"update_freq": 0}, "got 0"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TensorBoard("logs", **arguments)


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="NOT TESTED: tensorboard is not installed")
@pytest.mark.filterwarnings("ignore")
def test_tensorboard_reads_them(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    file = EventFile(str(tmp_path))
    file.scalar("loss", 0.25, 7)
    file.histogram("weights", np.arange(10.0), 1, 5)
    file.graph([("x", "Input", []), ("y", "Dense", ["x"])])
    file.close()
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    (point,) = found.Tensors("loss")
    assert (point.step, float(tensor_util.make_ndarray(point.tensor_proto))) == (7, 0.25)
    (histogram,) = found.Tensors("weights")
    assert tensor_util.make_ndarray(histogram.tensor_proto)[:, 2].tolist() == [2] * 5
    assert [(node.name, list(node.input)) for node in found.Graph().node] == [("x", []), ("y", ["x"])]

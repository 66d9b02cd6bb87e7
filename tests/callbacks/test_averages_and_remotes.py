"""SwapEMAWeights and RemoteMonitor."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

import numpy as np
import pytest

from deepcore.callbacks import LambdaCallback, ModelCheckpoint, RemoteMonitor, SwapEMAWeights
from deepcore.layers import Dense, Input
from deepcore.models import Sequential
from deepcore.optimizers import SGD
from deepcore.saving import load_model

X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3)
Y = X.sum(1, keepdims=True)


def averaging(**kwargs):
    """A line that is learnt from the same start, and its averages."""
    model = Sequential([Input((3,)), Dense(1, kernel_initializer="ones", use_bias=False)])
    model.layers[0].set_weights([np.array([[2.0], [0.0], [-1.0]], np.float32)])
    model.compile(SGD(0.3, **{"use_ema": True, "ema_momentum": 0.5, **kwargs}), "mse")
    return model


def by_hand(epochs):
    """The weights and their averages after each epoch of one step."""
    w, average, found = np.array([[2.0], [0.0], [-1.0]]), None, []
    for _ in range(epochs):
        w = w - 0.3 * 2 / 8 * X.T.astype(np.float64) @ (X @ w - Y)
        average = w if average is None else 0.5 * average + 0.5 * w
        found.append((w, average))
    return found


def loss_of(w):
    return float(((X @ w - Y) ** 2).mean())


def test_validation_is_of_the_averages_and_training_of_the_weights():
    model = averaging()
    seen = []
    watch = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()[0].copy()))
    told = model.fit(X, Y, 8, 3, 0, [SwapEMAWeights(), watch], validation_data=(X, Y)).history
    expected = by_hand(3)
    assert told["val_loss"] == pytest.approx([loss_of(average) for _, average in expected], rel=1e-5)
    for found, (w, _) in zip(seen, expected, strict=True):
        np.testing.assert_allclose(found, w, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.get_weights()[0], expected[-1][1], rtol=1e-5, atol=1e-6)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(told["val_loss"][-1])


def test_evaluate_and_predict_give_the_weights_back():
    model = averaging()
    model.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    before = model.get_weights()[0].copy()
    (_, average) = by_hand(2)[-1]
    assert model.evaluate(X, Y, verbose=0, callbacks=[SwapEMAWeights()]) == pytest.approx(loss_of(average), rel=1e-5)
    found = model.predict(X, verbose=0, callbacks=[SwapEMAWeights()])
    np.testing.assert_allclose(found, X @ average, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.get_weights()[0], before)


@pytest.mark.parametrize("validated", [True, False])
def test_files_of_an_epoch_hold_the_averages(tmp_path, validated):
    model = averaging()
    callbacks = [SwapEMAWeights(swap_on_epoch=True), ModelCheckpoint(tmp_path / "{epoch}.keras")]
    model.fit(X, Y, 8, 3, 0, callbacks, validation_data=(X, Y) if validated else None)
    for epoch, (_, average) in enumerate(by_hand(3), 1):
        kept = load_model(tmp_path / f"{epoch}.keras").get_weights()[0]
        np.testing.assert_allclose(kept, average, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.get_weights()[0], by_hand(3)[-1][1], rtol=1e-5, atol=1e-6)


def test_without_averages_there_is_nothing_to_swap():
    with pytest.raises(ValueError, match="needs an optimizer that keeps averages"):
        averaging(use_ema=False).fit(X, Y, verbose=0, callbacks=[SwapEMAWeights()], validation_data=(X, Y))


@pytest.fixture
def server():
    """The address of a server, and the requests that it was sent: path, headers, body."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            requests.append((self.path, dict(self.headers), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}", requests
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_numbers_are_sent_as_a_form_or_as_json(server):
    root, requests = server
    RemoteMonitor(root).on_epoch_end(2, {"loss": np.float32(0.5), "one": np.array([3])})
    RemoteMonitor(root, "/here", headers={"X-Run": "7"}, send_as_json=True).on_epoch_end(0, {"loss": 1.5})
    (path, headers, body), (other_path, other_headers, other_body) = requests
    assert (path, headers["Content-Type"]) == ("/publish/epoch/end/", "application/x-www-form-urlencoded")
    assert json.loads(parse_qs(body)["data"][0]) == {"epoch": 2, "loss": 0.5, "one": 3}
    assert (other_path, other_headers["Content-Type"]) == ("/here", "application/json")
    assert other_headers["X-Run"] == "7"
    assert json.loads(other_body) == {"epoch": 0, "loss": 1.5}


def test_a_server_that_is_not_there_does_not_end_training():
    model = averaging(use_ema=False)
    with pytest.warns(UserWarning, match="could not reach http://127.0.0.1:1/"):
        told = model.fit(X, Y, epochs=2, verbose=0, callbacks=[RemoteMonitor("http://127.0.0.1:1")])
    assert len(told.history["loss"]) == 2

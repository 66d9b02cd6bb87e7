"""Masks of sequences in losses and metrics: padded steps count for nothing, whatever was predicted there."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore import random
from deepcore.layers import LSTM, Bidirectional, Dense, Embedding, Input, Masking, TimeDistributed
from deepcore.models import Sequential

LENGTHS = np.array([5, 2, 3, 1, 4, 5])
STEPS = np.arange(5) < LENGTHS[:, None]
WORDS = np.where(STEPS, np.arange(30).reshape(6, 5) % 7 + 1, 0)
TAGS = np.arange(30).reshape(6, 5) % 3
WEIGHTS = np.linspace(0.2, 2.0, 30, dtype=np.float32).reshape(6, 5)


@pytest.fixture
def tagger():
    random.set_seed(3)
    model = Sequential(
        [
            Input((None,)),
            Embedding(8, 4, mask_zero=True),
            LSTM(5, return_sequences=True),
            Dense(3, activation="softmax", kernel_initializer="normal"),
        ]
    )
    model.compile(
        "sgd",
        "sparse_categorical_crossentropy",
        metrics=["accuracy", "sparse_categorical_crossentropy"],
        weighted_metrics=["accuracy", "sparse_categorical_crossentropy"],
    )
    return model


def by_hand(model):
    """Cross-entropy and hits of each step, from the predictions."""
    p = np.float64(model.predict(WORDS, verbose=0))
    return -np.log(np.take_along_axis(p, TAGS[..., None], -1)[..., 0]), p.argmax(-1) == TAGS


@pytest.mark.parametrize("batch_size", [6, 4])
def test_padded_steps_do_not_count(tagger, batch_size):
    entropy, hits = by_hand(tagger)
    told = tagger.evaluate(WORDS, TAGS, batch_size, 0, return_dict=True)
    assert told["accuracy"] == told["weighted_accuracy"] == pytest.approx(hits[STEPS].mean(), rel=1e-6)
    for name in ("sparse_categorical_crossentropy", "weighted_sparse_categorical_crossentropy"):
        assert told[name] == pytest.approx(entropy[STEPS].mean(), rel=1e-5)
    batches = [slice(start, start + batch_size) for start in range(0, 6, batch_size)]
    means = [entropy[rows][STEPS[rows]].mean() for rows in batches]  # each batch counts as many as it has sequences
    assert told["loss"] == pytest.approx(np.average(means, weights=[len(TAGS[rows]) for rows in batches]), rel=1e-5)


def test_weights_of_steps_are_masked_too(tagger):
    entropy, hits = by_hand(tagger)
    told = tagger.evaluate(WORDS, TAGS, verbose=0, sample_weight=WEIGHTS, return_dict=True)
    kept = WEIGHTS[STEPS]
    assert told["weighted_accuracy"] == pytest.approx(np.average(hits[STEPS], weights=kept), rel=1e-5)
    found = told["weighted_sparse_categorical_crossentropy"]
    assert found == pytest.approx(np.average(entropy[STEPS], weights=kept), rel=1e-5)
    assert told["accuracy"] == pytest.approx(hits[STEPS].mean(), rel=1e-6)
    assert told["loss"] == pytest.approx((entropy[STEPS] * kept).sum() / STEPS.sum(), rel=1e-5)


def test_what_is_predicted_for_padding_trains_nothing(tagger):
    other = np.where(STEPS, TAGS, (TAGS + 1) % 3)
    start = [w.copy() for w in tagger.get_weights()]
    changed = []
    for tags in (TAGS, other):
        tagger.set_weights(start)
        tagger.fit(WORDS, tags, batch_size=6, epochs=2, verbose=0)
        changed.append(tagger.get_weights())
    for a, b, before in zip(*changed, start, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        assert (a != before).any()


def test_masked_steps_of_numbers(rng):
    x = rng.standard_normal((6, 5, 3)).astype(np.float32)
    x[~STEPS] = 0.0
    y = rng.standard_normal((6, 5, 2)).astype(np.float32)
    model = Sequential(
        [
            Input((5, 3)),
            Masking(0.0),
            Bidirectional(LSTM(4, return_sequences=True)),
            TimeDistributed(Dense(2)),
            Dense(2),
        ]
    )
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mae"])
    error = np.float64(model.predict(x, verbose=0)) - y
    told = model.evaluate(x, y, verbose=0, return_dict=True)
    assert told["loss"] == pytest.approx((error[STEPS] ** 2).mean(), rel=1e-5)
    assert told["mae"] == told["weighted_mae"] == pytest.approx(abs(error[STEPS]).mean(), rel=1e-5)

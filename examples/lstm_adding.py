"""An LSTM learns to add two numbers that lie far apart in a sequence.

    python examples/lstm_adding.py
    python examples/lstm_adding.py --length 60 --epochs 40

The adding problem of Hochreiter and Schmidhuber 1997, Long short-term memory: each step shows a number from 0 to 1 and
a mark; two steps are marked, and the answer is the sum of their numbers. Who always answers 1 has a mean squared error
of 1/6; to do better, a network has to remember the first number until it has seen the second.

With `import keras` and `from keras import layers` in place of the first two imports, Keras runs the same script.
"""

import argparse

import numpy as np

import deepcore as keras
from deepcore import layers


def sequences(count: int, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and marks, float32 [count, length, 2], and sums, float32 [count, 1]. Each half has one mark."""
    numbers = rng.random((count, length), dtype=np.float32)
    marks = np.zeros_like(numbers)
    rows = np.arange(count)
    marks[rows, rng.integers(0, length // 2, count)] = 1
    marks[rows, rng.integers(length // 2, length, count)] = 1
    return np.stack([numbers, marks], axis=-1), np.sum(numbers * marks, axis=1, keepdims=True)


def main(argv: list[str] | None = None) -> float:
    """Trains, and gives the mean squared error on sequences that were not trained on."""
    parser = argparse.ArgumentParser(description="Train an LSTM on the adding problem.")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or emulator")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--length", type=int, default=30, help="steps of a sequence")
    parser.add_argument("--examples", type=int, default=10_000, help="sequences to train on")
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    x_train, y_train = sequences(options.examples, options.length, rng)
    x_test, y_test = sequences(1_000, options.length, rng)
    with keras.device(options.device):
        model = keras.Sequential(
            [
                layers.Input((options.length, 2)),
                layers.LSTM(32),
                layers.Dense(1),
            ]
        )
        model.summary()
        optimizer = keras.optimizers.Adam(learning_rate=0.005, clipnorm=1.0)
        model.compile(optimizer=optimizer, loss="mse")
        model.fit(x_train, y_train, batch_size=50, epochs=options.epochs, validation_data=(x_test, y_test))
        error = model.evaluate(x_test, y_test, verbose=0)
        answers = model.predict(x_test[:3], verbose=0)
    for truth, answer in zip(y_test[:3, 0], answers[:, 0], strict=True):
        print(f"The sum is {truth:.3f}; the network says {answer:.3f}")
    print(f"Mean squared error {error:.5f}, where always answering 1 has {np.mean((y_test - 1) ** 2):.3f}")
    return error


if __name__ == "__main__":
    main()

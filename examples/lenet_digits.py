"""LeNet on scikit-learn's handwritten digits: at least 98 % of digits it has never seen, in under a minute.

    python examples/lenet_digits.py

LeCun et al. 1998, Gradient-based learning applied to document recognition. The digits are 8x8 pixels, LeNet-5 was made
for 32x32: so they are enlarged to 16x16, and the second convolution pads.
"""

import argparse

import numpy as np

import deepcore as keras
from deepcore import layers
from deepcore.datasets import digits


def load() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Images float32 [n, 16, 16, 1] from 0 to 1, and labels."""
    (x_train, y_train), (x_test, y_test) = digits.load_data()

    def enlarge(images: np.ndarray) -> np.ndarray:
        return images.repeat(2, axis=1).repeat(2, axis=2)[..., None].astype("float32") / 16

    return (enlarge(x_train), y_train), (enlarge(x_test), y_test)


def lenet() -> keras.Sequential:
    """Two convolutions with pooling, and three dense layers."""
    return keras.Sequential(
        [
            layers.Input((16, 16, 1)),
            layers.Conv2D(6, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Train LeNet on scikit-learn's handwritten digits.")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    keras.random.set_seed(options.seed)
    (x_train, y_train), (x_test, y_test) = load()
    model = lenet()
    model.summary()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=32, epochs=options.epochs)
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"Held-out accuracy: {accuracy:.2%} of {len(x_test)} digits")


if __name__ == "__main__":
    main()

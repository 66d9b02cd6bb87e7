"""LeNet on handwritten digits: at least 98 % of scikit-learn's that it has never seen, in under a minute.

    python examples/lenet_digits.py
    python examples/lenet_digits.py --data mnist --epochs 5         downloads MNIST once
    python examples/lenet_digits.py --data mnist --path FOLDER_OR_FILE

LeCun et al. 1998, Gradient-based learning applied to document recognition. LeNet-5 was made for 32x32 pixels; the
digits have 8x8: so they are enlarged to 16x16, and the second convolution pads.

With `import keras` and `from keras import layers` in place of the deepcore ones, Keras runs the same script.
"""

import handwritten
import numpy as np

import deepcore as keras
from deepcore import layers


def load(
    data: str = "digits", path: str = "mnist.npz"
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Images float32 [n, 16, 16, 1], or [n, 28, 28, 1] of MNIST, from 0 to 1, and labels."""
    (x_train, y_train), (x_test, y_test) = handwritten.load(data, path)

    def enlarge(images: np.ndarray) -> np.ndarray:
        if images.shape[1] == 8:
            images = images.repeat(2, axis=1).repeat(2, axis=2)
        return images[..., None]

    return (enlarge(x_train), y_train), (enlarge(x_test), y_test)


def lenet(shape: tuple[int, int, int] = (16, 16, 1)) -> keras.Sequential:
    """Two convolutions with pooling, and three dense layers."""
    return keras.Sequential(
        [
            layers.Input(shape),
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


def main(argv: list[str] | None = None) -> float:
    """Trains, and gives the accuracy on the test images."""
    parser = handwritten.arguments("Train LeNet on handwritten digits.", epochs=30, data="digits")
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(options.seed)
    (x_train, y_train), (x_test, y_test) = load(options.data, options.path)
    with keras.device(options.device):
        model = lenet(x_train.shape[1:])
        model.summary()
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x_train, y_train, batch_size=32, epochs=options.epochs)
        _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"Held-out accuracy: {accuracy:.2%} of {len(x_test)} digits")
    return accuracy


if __name__ == "__main__":
    main()

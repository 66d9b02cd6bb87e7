"""A small convolutional network on MNIST, in Keras's words.

    python examples/mnist_cnn.py                          downloads MNIST once
    python examples/mnist_cnn.py --path FOLDER_OR_FILE    reads mnist.npz, or the four IDX files, from disk
    python examples/mnist_cnn.py --data digits --epochs 30

With `import keras` and `from keras import layers` in place of the deepcore ones, Keras runs the same script.
"""

import handwritten

import deepcore as keras
from deepcore import layers


def main(argv: list[str] | None = None) -> float:
    """Trains, and gives the accuracy on the test images."""
    parser = handwritten.arguments("Train a convolutional network on MNIST.", epochs=3)
    parser.add_argument("--batch-size", type=int, default=128)
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(options.seed)
    (x_train, y_train), (x_test, y_test) = handwritten.load(options.data, options.path)
    x_train, x_test = x_train[..., None], x_test[..., None]

    with keras.device(options.device):
        model = keras.Sequential(
            [
                layers.Input(x_train.shape[1:]),
                layers.Conv2D(32, (3, 3), activation="relu"),
                layers.MaxPooling2D((2, 2)),
                layers.Conv2D(64, (3, 3), activation="relu"),
                layers.MaxPooling2D((2, 2), padding="same"),
                layers.Flatten(),
                layers.Dropout(0.5),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.summary()
        model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
        model.fit(x_train, y_train, batch_size=options.batch_size, epochs=options.epochs, validation_split=0.1)
        loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"Test loss {loss:.4f}, test accuracy {accuracy:.2%}")
    return accuracy


if __name__ == "__main__":
    main()

"""A small convolutional network on MNIST, in Keras's words.

    python examples/mnist_cnn.py                          downloads MNIST once
    python examples/mnist_cnn.py --path FOLDER_OR_FILE    reads mnist.npz, or the four IDX files, from disk

With `import keras` and `from keras import layers` in place of the first two imports, Keras runs the same script.
"""

import argparse

import deepcore as keras
from deepcore import layers
from deepcore.datasets import mnist


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a convolutional network on MNIST.")
    parser.add_argument("--path", default="mnist.npz", help="MNIST on disk: mnist.npz or a folder of IDX files")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=128)
    options = parser.parse_args()

    keras.utils.set_random_seed(1)
    (x_train, y_train), (x_test, y_test) = mnist.load_data(path=options.path)
    x_train = x_train[..., None].astype("float32") / 255
    x_test = x_test[..., None].astype("float32") / 255

    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
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


if __name__ == "__main__":
    main()

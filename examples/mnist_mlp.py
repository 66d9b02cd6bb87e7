"""A multilayer perceptron on MNIST: the course's first script, in Keras's words.

    python examples/mnist_mlp.py                          downloads MNIST once
    python examples/mnist_mlp.py --path FOLDER_OR_FILE    reads mnist.npz, or the four IDX files, from disk

With `import keras` and `from keras import layers` in place of the first two imports, Keras runs the same script.
"""

import argparse

import deepcore as keras
from deepcore import layers
from deepcore.datasets import mnist


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a multilayer perceptron on MNIST.")
    parser.add_argument("--path", default="mnist.npz", help="MNIST on disk: mnist.npz or a folder of IDX files")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=128)
    options = parser.parse_args()

    keras.utils.set_random_seed(1)
    (x_train, y_train), (x_test, y_test) = mnist.load_data(path=options.path)
    x_train = x_train.reshape(-1, 784).astype("float32") / 255
    x_test = x_test.reshape(-1, 784).astype("float32") / 255
    y_train = keras.utils.to_categorical(y_train, 10)
    y_test = keras.utils.to_categorical(y_test, 10)

    model = keras.Sequential(
        [
            layers.Input((784,)),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.summary()
    model.compile(loss="categorical_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=options.batch_size, epochs=options.epochs, validation_data=(x_test, y_test))
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"Test loss {loss:.4f}, test accuracy {accuracy:.2%}")


if __name__ == "__main__":
    main()

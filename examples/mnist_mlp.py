"""A multilayer perceptron with dropout on MNIST, trained by RMSprop.

    python examples/mnist_mlp.py                          downloads MNIST once
    python examples/mnist_mlp.py --path FOLDER_OR_FILE    reads mnist.npz, or the four IDX files, from disk
    python examples/mnist_mlp.py --data digits --epochs 20

With `import keras` and `from keras import layers` in place of the deepcore ones, Keras runs the same script.
"""

import handwritten

import deepcore as keras
from deepcore import layers


def main(argv: list[str] | None = None) -> float:
    """Trains, and gives the accuracy on the test images."""
    parser = handwritten.arguments("Train a multilayer perceptron on MNIST.", epochs=5)
    parser.add_argument("--batch-size", type=int, default=128)
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(options.seed)
    (x_train, y_train), (x_test, y_test) = handwritten.load(options.data, options.path)
    x_train, x_test = x_train.reshape(len(x_train), -1), x_test.reshape(len(x_test), -1)
    y_train, y_test = keras.utils.to_categorical(y_train, 10), keras.utils.to_categorical(y_test, 10)

    with keras.device(options.device):
        model = keras.Sequential(
            [
                layers.Input((x_train.shape[1],)),
                layers.Dense(512, activation="relu"),
                layers.Dropout(0.2),
                layers.Dense(512, activation="relu"),
                layers.Dropout(0.2),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.summary()
        model.compile(loss="categorical_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
        held_out = (x_test, y_test)
        model.fit(x_train, y_train, batch_size=options.batch_size, epochs=options.epochs, validation_data=held_out)
        loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"Test loss {loss:.4f}, test accuracy {accuracy:.2%}")
    return accuracy


if __name__ == "__main__":
    main()

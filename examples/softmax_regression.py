"""Softmax regression on MNIST: one layer of 784 x 10 weights and 10 biases, 7,850 parameters in all.

    python examples/softmax_regression.py                          downloads MNIST once
    python examples/softmax_regression.py --path FOLDER_OR_FILE    reads mnist.npz, or the four IDX files, from disk
    python examples/softmax_regression.py --data digits            650 parameters on scikit-learn's 8x8 digits
    python examples/softmax_regression.py --plot weights.png       what each class looks for: blue is for, red against

With `import keras` and `from keras import layers` in place of the deepcore ones, Keras runs the same script.
"""

import handwritten
import numpy as np

import deepcore as keras
from deepcore import layers


def plot(weights: np.ndarray, file: str) -> None:
    """The weights [height, width, 10] of each class as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    limit = np.abs(weights).max()
    for digit, axes in enumerate(figure.subplots(2, 5).flat):
        axes.imshow(weights[..., digit], cmap="RdBu", vmin=-limit, vmax=limit)
        axes.set_title(str(digit))
        axes.axis("off")
    figure.savefig(file)


def main(argv: list[str] | None = None) -> float:
    """Trains, and gives the accuracy on the test images."""
    parser = handwritten.arguments("Train softmax regression on MNIST.", epochs=10)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--plot", metavar="FILE", help="save a picture of the weights")
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(options.seed)
    (x_train, y_train), (x_test, y_test) = handwritten.load(options.data, options.path)
    with keras.device(options.device):
        model = keras.Sequential(
            [
                layers.Input(x_train.shape[1:]),
                layers.Flatten(),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile(
            optimizer=keras.optimizers.SGD(learning_rate=0.5),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        model.summary()
        model.fit(x_train, y_train, batch_size=options.batch_size, epochs=options.epochs)
        _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"{model.count_params():,} parameters, test accuracy {accuracy:.2%}")
    if options.plot:
        plot(model.get_weights()[0].reshape(*x_train.shape[1:], 10), options.plot)
    return accuracy


if __name__ == "__main__":
    main()

"""An autoencoder: digits squeezed into a code of 16 numbers, and drawn again from it.

    python examples/autoencoder.py                          downloads MNIST once
    python examples/autoencoder.py --path FOLDER_OR_FILE    reads mnist.npz, or the four IDX files, from disk
    python examples/autoencoder.py --data digits --epochs 200
    python examples/autoencoder.py --plot digits.png        digits above, what is drawn from their codes below

Hinton and Salakhutdinov 2006, Reducing the dimensionality of data with neural networks. The measure is theirs: the
squared error of digits never seen, beside that of the best linear code of the same length (principal components).

With `import keras` and `from keras import layers` in place of the deepcore ones, Keras runs the same script.
"""

import handwritten
import numpy as np

import deepcore as keras
from deepcore import layers


def principal_components(x_train: np.ndarray, x_test: np.ndarray, code: int) -> np.ndarray:
    """Test images [n, pixels] drawn again from their ``code`` leading principal components."""
    mean = x_train.mean(axis=0)
    _, directions = np.linalg.eigh(np.cov(x_train, rowvar=False))
    leading = directions[:, -code:]
    return mean + (x_test - mean) @ leading @ leading.T


def plot(rows: list[np.ndarray], titles: list[str], file: str) -> None:
    """Rows of images [n, height, width] above each other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(len(rows[0]), 1.3 * len(rows)), layout="constrained")
    for images, title, row in zip(rows, titles, figure.subplots(len(rows), len(rows[0])), strict=True):
        row[0].set_title(title, loc="left")
        for image, axes in zip(images, row, strict=True):
            axes.imshow(image, cmap="gray_r", vmin=0, vmax=1)
            axes.axis("off")
    figure.savefig(file)


def main(argv: list[str] | None = None) -> tuple[float, float]:
    """Trains, and gives the mean squared errors of the autoencoder and of principal components."""
    parser = handwritten.arguments("Train an autoencoder on handwritten digits.", epochs=10)
    parser.add_argument("--code", type=int, default=16, help="how many numbers a digit becomes")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of test digits and of what is drawn from codes")
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(options.seed)
    (x_train, _), (x_test, _) = handwritten.load(options.data, options.path)
    shape = x_train.shape[1:]
    x_train, x_test = x_train.reshape(len(x_train), -1), x_test.reshape(len(x_test), -1)
    pixels = x_train.shape[1]

    with keras.device(options.device):
        image = keras.Input((pixels,))
        hidden = layers.Dense(256, activation="relu")(image)
        code = layers.Dense(options.code, name="code")(hidden)
        hidden = layers.Dense(256, activation="relu")(code)
        drawn = layers.Dense(pixels, activation="sigmoid")(hidden)
        autoencoder = keras.Model(image, drawn)
        autoencoder.summary()
        autoencoder.compile(optimizer="adam", loss="binary_crossentropy", metrics=["mse"])
        autoencoder.fit(x_train, x_train, batch_size=128, epochs=options.epochs, validation_data=(x_test, x_test))
        again = autoencoder.predict(x_test, verbose=0)

    linear = principal_components(x_train, x_test, options.code)
    errors = [float(np.mean((x_test - drawn) ** 2)) for drawn in (again, linear)]
    print(f"Squared error per pixel from {options.code} numbers: {errors[0]:.4f}; principal components {errors[1]:.4f}")
    if options.plot:
        rows = [images[:10].reshape(-1, *shape) for images in (x_test, again, linear)]
        plot(rows, ["test digits", "autoencoder", "principal components"], options.plot)
    return errors[0], errors[1]


if __name__ == "__main__":
    main()

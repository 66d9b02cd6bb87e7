"""What the examples on handwritten digits share: their arguments, and their images."""

import argparse

import numpy as np

from deepcore.datasets import digits, mnist


def arguments(description: str, epochs: int, data: str = "mnist") -> argparse.ArgumentParser:
    """A parser with the arguments that all these examples take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", choices=("mnist", "digits"), default=data, help="digits are scikit-learn's, 8x8")
    parser.add_argument("--path", default="mnist.npz", help="MNIST on disk: mnist.npz or a folder of IDX files")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or emulator")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seed", type=int, default=1)
    return parser


def load(
    data: str = "mnist", path: str = "mnist.npz"
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Images float32 [n, 28, 28], or [n, 8, 8] of scikit-learn's digits, from 0 (paper) to 1 (ink), and labels [n].

    MNIST is downloaded once; where it cannot be, scikit-learn's digits take its place, and a line says so.
    """
    if data == "mnist":
        try:
            (x_train, y_train), (x_test, y_test) = mnist.load_data(path=path)
            return (x_train.astype("float32") / 255, y_train), (x_test.astype("float32") / 255, y_test)
        except ConnectionError as error:
            print(f"{error}\nscikit-learn's digits take the place of MNIST; --path reads it from disk.")
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    return (x_train.astype("float32") / 16, y_train), (x_test.astype("float32") / 16, y_test)

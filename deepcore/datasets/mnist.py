"""MNIST: 70,000 handwritten digits of 28x28 pixels (LeCun, Cortes and Burges; CC BY-SA 3.0)."""

from __future__ import annotations

import os

from deepcore.datasets import grey_image
from deepcore.datasets.cache import cache_folder, fetch
from deepcore.datasets.split import Split

FILE = "mnist.npz"
# The file that Keras downloads, at its present and at its first host.
URLS = [
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    "https://s3.amazonaws.com/img-datasets/mnist.npz",
]
SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def load_data(path: str | os.PathLike[str] = FILE) -> Split:
    """Load MNIST, as ``keras.datasets.mnist.load_data`` does.

    Args:
        path: A bare name that ends in ``.npz`` is a file of the cache folder, downloaded on first use. Anything else is
            data already on disk: an ``.npz`` file with ``x_train``, ``y_train``, ``x_test`` and ``y_test``
            (``"./mnist.npz"`` for one in the working directory), or the folder of the four IDX files, plain or gzipped.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 ``[60000, 28, 28]`` and ``[10000, 28, 28]``, 0 (paper) to
        255 (ink); labels uint8 ``[60000]`` and ``[10000]``, the digit. Files of your own may hold any number of images.

    Raises:
        CorruptedFileError: A file is damaged or does not hold such data.
        FileNotFoundError: ``path`` does not exist.
        ConnectionError: The download failed.
        ImportError: A download is needed and pooch is not installed.
    """
    name = os.fspath(path)
    if os.path.basename(name) != name or not name.endswith(".npz"):
        return grey_image.read_path(name)
    own = cache_folder() / name
    # A file that the user put into the cache folder under another name is not ours to verify or to replace.
    return grey_image.read_npz(own if name != FILE and own.is_file() else fetch(name, URLS, SHA256))

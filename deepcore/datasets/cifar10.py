"""CIFAR-10: 60,000 colour images of 32x32 pixels (Krizhevsky 2009, Learning Multiple Layers of Features)."""

from __future__ import annotations

import os

from deepcore.datasets.cifar import Form
from deepcore.datasets.split import Split

# The authors' page, and the host that it forwards to.
URLS = [
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "https://cave.cs.toronto.edu/kriz/cifar-10-python.tar.gz",
]
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"

FORM = Form(
    title="CIFAR-10",
    archives=("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"),
    folders=("cifar-10-batches-py", "cifar-10-batches-bin"),
    batches=(*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"),
    labels=(b"labels",),
    classes=(10,),
    limit=1 << 26,  # a batch of 10,000 images has 31 MB
)


def load_data(path: str | os.PathLike[str] | None = None) -> Split:
    """Load CIFAR-10, as ``keras.datasets.cifar10.load_data`` does.

    Args:
        path: None for the cache folder, downloaded on first use; or data already on disk, in the authors' Python or
            binary version: ``cifar-10-python.tar.gz``, ``cifar-10-binary.tar.gz``, the folder ``cifar-10-batches-py``
            or ``cifar-10-batches-bin``, or a folder that holds one of these. Nothing in the Python version is executed.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 ``[50000, 32, 32, 3]`` and ``[10000, 32, 32, 3]``, red,
        green, blue, 0 to 255; labels uint8 ``[50000, 1]`` and ``[10000, 1]``: 0 airplane, 1 automobile, 2 bird, 3 cat,
        4 deer, 5 dog, 6 frog, 7 horse, 8 ship, 9 truck. Files of your own may hold any number of images.

    Raises:
        CorruptedFileError: A file is damaged, does not hold such data, or is a pickle that names anything but arrays.
        FileNotFoundError: ``path``, or one of its batches, does not exist.
        ConnectionError: The download failed.
        ImportError: A download is needed and pooch is not installed.
    """
    return FORM.load(path, URLS, SHA256, b"labels")

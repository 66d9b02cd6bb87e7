"""Fashion-MNIST: 70,000 images of clothing of 28x28 pixels (Xiao, Rasul and Vollgraf, arXiv:1708.07747; MIT)."""

from __future__ import annotations

import os

from deepcore.datasets import grey_image
from deepcore.datasets.cache import cache_folder, fetch
from deepcore.datasets.split import Split

FOLDER = "fashion-mnist"
# Keras's copy, and the authors' own host, which has no https; the checksums make that safe.
HOSTS = [
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
]
SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}


def load_data(path: str | os.PathLike[str] | None = None) -> Split:
    """Load Fashion-MNIST, as ``keras.datasets.fashion_mnist.load_data`` does.

    Args:
        path: None for the cache folder, downloaded on first use; or data already on disk: the folder of the four IDX
            files, plain or gzipped, or an ``.npz`` file with ``x_train``, ``y_train``, ``x_test`` and ``y_test``.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 ``[60000, 28, 28]`` and ``[10000, 28, 28]``, 0 to 255;
        labels uint8 ``[60000]`` and ``[10000]``: 0 T-shirt/top, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal,
        6 shirt, 7 sneaker, 8 bag, 9 ankle boot. Files of your own may hold any number of images.

    Raises:
        CorruptedFileError: A file is damaged or does not hold such data.
        FileNotFoundError: ``path``, or one of its files, does not exist.
        ConnectionError: The download failed.
        ImportError: A download is needed and pooch is not installed.
    """
    if path is not None:
        return grey_image.read_path(path)
    for name, sha256 in SHA256.items():
        fetch(f"{FOLDER}/{name}", [host + name for host in HOSTS], sha256)
    return grey_image.read_idx_folder(cache_folder() / FOLDER)

"""CIFAR-100: colour images of 100 classes in 20 groups (Krizhevsky 2009, Learning Multiple Layers of Features)."""

from __future__ import annotations

import os

from deepcore.datasets.cifar import Form
from deepcore.datasets.split import Split

# The authors' page, and the host that it forwards to.
URLS = [
    "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    "https://cave.cs.toronto.edu/kriz/cifar-100-python.tar.gz",
]
SHA256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"

FORM = Form(
    title="CIFAR-100",
    archives=("cifar-100-python.tar.gz", "cifar-100-binary.tar.gz"),
    folders=("cifar-100-python", "cifar-100-binary"),
    batches=("train", "test"),
    labels=(b"coarse_labels", b"fine_labels"),
    classes=(20, 100),
    limit=1 << 28,  # 50,000 images have 154 MB
)


def load_data(label_mode: str = "fine", path: str | os.PathLike[str] | None = None) -> Split:
    """Load CIFAR-100, as ``keras.datasets.cifar100.load_data`` does.

    Args:
        label_mode: ``"fine"`` for the class, 0 to 99, or ``"coarse"`` for its group, 0 to 19.
        path: None for the cache folder, downloaded on first use; or data already on disk, in the authors' Python or
            binary version: ``cifar-100-python.tar.gz``, ``cifar-100-binary.tar.gz``, the folder ``cifar-100-python``
            or ``cifar-100-binary``, or a folder that holds one of these. Nothing in the Python version is executed.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 ``[50000, 32, 32, 3]`` and ``[10000, 32, 32, 3]``, red,
        green, blue, 0 to 255; labels uint8 ``[50000, 1]`` and ``[10000, 1]``. Files of your own may hold any number.

    Raises:
        ValueError: ``label_mode`` is another.
        CorruptedFileError, FileNotFoundError, ConnectionError, ImportError: as for ``cifar10.load_data``.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"label_mode must be 'fine' or 'coarse'; got {label_mode!r}.")
    return FORM.load(path, URLS, SHA256, f"{label_mode}_labels".encode())

"""scikit-learn's handwritten digits: 1,797 images of 8x8 pixels, at hand without a download (Alpaydin and Kaynak)."""

from __future__ import annotations

import numpy as np

from deepcore.datasets.split import Split


def load_data(test_fraction: float = 0.2, seed: int = 0) -> Split:
    """Load the 8x8 digits, shuffled and split so that every class has the same share of both parts.

    Args:
        test_fraction: The share of each class, rounded to whole images, that goes to the test part; between 0 and 1.
        seed: Seed of the shuffle, 0 to 2**32 - 1; the same seed gives the same split everywhere.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 ``[n, 8, 8]``, 0 (paper) to 16 (ink), NOT to 255; labels
        uint8 ``[n]``, the digit.

    Raises:
        ImportError: scikit-learn is not installed.
        ValueError: ``test_fraction`` leaves the training or the test part without an image of some class.

    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, x_test.shape, x_train.dtype.name, int(x_train.max())
    ((1438, 8, 8), (359, 8, 8), 'uint8', 16)
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(f"digits needs scikit-learn ({error}): pip install 'deepcore[data]'") from error
    bunch = load_digits()
    images, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)

    # RandomState, because its streams are frozen (NEP 19) and those of Generator may change with a NumPy version.
    random = np.random.RandomState(seed)
    train, test = [], []
    for label in range(10):
        members = random.permutation(np.flatnonzero(labels == label))
        count = round(test_fraction * len(members)) if 0 < test_fraction < 1 else 0
        if not 0 < count < len(members):
            raise ValueError(
                f"test_fraction={test_fraction} leaves the test or the training part without images of class {label}, "
                f"which has {len(members)}; pass a fraction between 0 and 1, such as 0.2."
            )
        test.append(members[:count])
        train.append(members[count:])
    rows, held_out = random.permutation(np.concatenate(train)), random.permutation(np.concatenate(test))
    return (images[rows], labels[rows]), (images[held_out], labels[held_out])

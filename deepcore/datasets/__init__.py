"""Real data sets, with Keras's names, shapes and dtypes: images, texts and tables.

Each has ``load_data() -> (x_train, y_train), (x_test, y_test)``. ``digits`` is ready at once; the others are downloaded
on first use into ``~/.deepcore/datasets`` (or ``$DEEPCORE_HOME/datasets``), or read from where ``path=`` points.
"""

from __future__ import annotations

from deepcore.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    digits,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)
from deepcore.errors import explain_missing

__all__ = [
    "boston_housing",
    "california_housing",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "imdb",
    "mnist",
    "reuters",
]

explain_missing(__name__)

"""Real data sets, with Keras's names, shapes and dtypes: ``mnist``, ``fashion_mnist``, ``cifar10`` and ``digits``.

Each has ``load_data() -> (x_train, y_train), (x_test, y_test)``. ``digits`` is ready at once; the others are downloaded
on first use into ``~/.deepcore/datasets`` (or ``$DEEPCORE_HOME/datasets``), or read from where ``path=`` points.
"""

from __future__ import annotations

from deepcore.datasets import cifar10, digits, fashion_mnist, mnist
from deepcore.errors import explain_missing

__all__ = ["cifar10", "digits", "fashion_mnist", "mnist"]

explain_missing(__name__)

"""The gradient of an embedding, one row after another."""

import numpy as np


def embedding_scatter(dy, ids, vocabulary):
    table = np.zeros((vocabulary, dy.shape[-1]))
    for row, target in zip(dy.reshape(-1, dy.shape[-1]), ids.ravel(), strict=True):
        table[target] += row
    return table

"""Softmax and cross-entropy in float64, row by row."""

import numpy as np


def log_softmax(x):
    x = np.asarray(x, np.float64)
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(x):
    return np.exp(log_softmax(x))


def one_hot(targets, classes):
    return np.eye(classes)[targets]


def weights_of(targets, classes):
    return one_hot(targets, classes) if targets.ndim == 1 else np.asarray(targets, np.float64)


def cross_entropy(logits, targets):
    return -(weights_of(targets, logits.shape[1]) * log_softmax(logits)).sum(axis=1)


def probability_cross_entropy(probabilities, targets):
    p = np.asarray(probabilities, np.float64)
    shares = np.clip(p / p.sum(axis=1, keepdims=True), 1e-7, 1 - 1e-7)
    return -(weights_of(targets, p.shape[1]) * np.log(shares)).sum(axis=1)


def probability_cross_entropy_gradient(dloss, probabilities, targets):
    """By the chain rule, step by step: the logarithm, the limits, and the quotient."""
    p = np.asarray(probabilities, np.float64)
    total = p.sum(axis=1, keepdims=True)
    shares = p / total
    within = (shares >= 1e-7) & (shares <= 1 - 1e-7)
    dshares = -np.asarray(dloss, np.float64)[:, None] * weights_of(targets, p.shape[1]) * within
    dshares /= np.where(within, shares, 1)
    return (dshares - (dshares * shares).sum(axis=1, keepdims=True)) / total

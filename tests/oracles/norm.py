"""Normalisations in float64, by their definitions."""

import numpy as np


def batch_norm(x, gamma, beta, epsilon):
    x = np.asarray(x, np.float64)
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axis=axes), x.var(axis=axes)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta, mean, variance


def layer_norm(x, gamma, beta, epsilon):
    x = np.asarray(x, np.float64)
    mean, rstd = x.mean(axis=-1), 1 / np.sqrt(x.var(axis=-1) + epsilon)
    return gamma * (x - mean[..., None]) * rstd[..., None] + beta, mean, rstd


def local_response_norm(x, depth_radius, bias, alpha, beta):
    x = np.asarray(x, np.float64)
    scale = np.empty_like(x)
    for c in range(x.shape[-1]):
        window = x[..., max(0, c - depth_radius) : c + depth_radius + 1]
        scale[..., c] = bias + alpha * (window**2).sum(axis=-1)
    return x / scale**beta, scale

"""The naive product: one sum for each element, in float64."""

import numpy as np


def matmul(a, b, transpose_a=False, transpose_b=False):
    left = "...km" if transpose_a else "...mk"
    right = "...nk" if transpose_b else "...kn"
    return np.einsum(f"{left},{right}->...mn", a.astype(np.float64), b.astype(np.float64))

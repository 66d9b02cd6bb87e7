"""The gradient of an embedding: every row of the table gathers its own, so nothing is written twice."""

from __future__ import annotations

from deepcore.kernels.numba.jit import inline, parallel, prange


@inline
def scatter_segment(dy, order, starts, present, table, segment):
    target = present[segment]
    for position in range(starts[segment], starts[segment + 1]):
        row = order[position]
        for column in range(dy.shape[1]):
            table[target, column] += dy[row, column]


@parallel
def scatter(dy, order, starts, present, table):
    """table[present[s]] += the rows dy[order[i]] for starts[s] <= i < starts[s + 1]."""
    for segment in prange(present.shape[0]):
        scatter_segment(dy, order, starts, present, table, segment)

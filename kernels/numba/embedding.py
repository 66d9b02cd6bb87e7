"""Rows of a table by number, and their gradient, for which every row gathers its own: nothing is written twice."""

from __future__ import annotations

import math

from deepcore.kernels.numba.jit import inline, parallel, part_of


@inline
def gather_row(table, ids, y, position, first, last):
    """The columns from ``first`` to ``last`` of one row of y; NaN where no row of the table has this id."""
    target = ids[position]
    if 0 <= target < table.shape[0]:
        for column in range(first, last):
            y[position, column] = table[target, column]
    else:
        for column in range(first, last):
            y[position, column] = math.nan


@parallel
def gather(piece, table, ids, y):
    """y[i] = table[ids[i]] for table [vocabulary, columns], ids [positions] and y [positions, columns]."""
    for position in part_of(piece, ids.shape[0]):
        gather_row(table, ids, y, position, 0, y.shape[1])


def gather_thread(item, table, ids, y):
    position = item // y.shape[1]
    column = item - position * y.shape[1]
    gather_row(table, ids, y, position, column, column + 1)


@inline
def scatter_segment(dy, order, starts, present, table, segment):
    target = present[segment]
    for position in range(starts[segment], starts[segment + 1]):
        row = order[position]
        for column in range(dy.shape[1]):
            table[target, column] += dy[row, column]


@parallel
def scatter(piece, dy, order, starts, present, table):
    """table[present[s]] += the rows dy[order[i]] for starts[s] <= i < starts[s + 1]."""
    for segment in part_of(piece, present.shape[0]):
        scatter_segment(dy, order, starts, present, table, segment)

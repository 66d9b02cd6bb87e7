"""Where the boxes of a drawn network go: in layers, few crossings, edges around boxes (Sugiyama et al. 1981)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

GAP_ACROSS, GAP_ALONG = 28.0, 44.0


def place(
    sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]
) -> tuple[list[tuple[float, float]], list[list[tuple[float, float]]]]:
    """The centres of boxes, and the points that each edge passes through.

    Args:
        sizes: (across, along) of each box, along being the direction in which edges run.
        edges: (source, target), each source numbered before its target.

    Returns (across, along) of each box's centre, and for each edge its points, from the source's end to the target's
    beginning; edges that pass a layer of boxes pass between them.
    """
    ranks = [0] * len(sizes)
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        ranks[target] = max(ranks[target], ranks[source] + 1)
    # A box without sources stands just before the first that it leads to.
    for box in range(len(sizes)):
        followers = [ranks[target] for source, target in edges if source == box]
        if followers and not any(target == box for _, target in edges):
            ranks[box] = min(followers) - 1
    extents = list(sizes)
    chains = []
    for source, target in edges:
        chain = [source]
        for rank in range(ranks[source] + 1, ranks[target]):
            chain.append(len(extents))
            extents.append((6.0, 0.0))
            ranks.append(rank)
        chains.append([*chain, target])
    before: list[list[int]] = [[] for _ in extents]
    after: list[list[int]] = [[] for _ in extents]
    for chain in chains:
        for a, b in itertools.pairwise(chain):
            after[a].append(b)
            before[b].append(a)
    rows: list[list[int]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for node, rank in enumerate(ranks):
        rows[rank].append(node)
    _order(rows, before, after)
    across = _across(rows, before, after, extents)
    along, start = [], 0.0
    for row in rows:
        depth = max(extents[node][1] for node in row)
        along.append(start + depth / 2)
        start += depth + GAP_ALONG
    depths = [max(extents[node][1] for node in row) for row in rows]
    centres = [(across[node], along[ranks[node]]) for node in range(len(extents))]
    paths = []
    for chain in chains:
        first, last = chain[0], chain[-1]
        points = [(across[first], along[ranks[first]] + extents[first][1] / 2)]
        for node in chain[1:-1]:
            half = depths[ranks[node]] / 2
            points += [(across[node], along[ranks[node]] - half), (across[node], along[ranks[node]] + half)]
        paths.append([*points, (across[last], along[ranks[last]] - extents[last][1] / 2)])
    return centres[: len(sizes)], paths


def _order(rows: list[list[int]], before: list[list[int]], after: list[list[int]]) -> None:
    """Sorts each row by where its neighbours stand, down and up a few times."""
    for sweep in range(8):
        down = sweep % 2 == 0
        sequence = list(itertools.pairwise(rows)) if down else list(zip(rows[::-1], rows[-2::-1], strict=False))
        for fixed, moved in sequence:
            position = {node: i for i, node in enumerate(fixed)}
            own = {node: i for i, node in enumerate(moved)}
            neighbours = before if down else after
            means = {
                node: sum(position[n] for n in neighbours[node]) / len(neighbours[node])
                if neighbours[node]
                else own[node] * len(fixed) / len(moved)
                for node in moved
            }
            moved.sort(key=means.__getitem__)


def _across(
    rows: list[list[int]], before: list[list[int]], after: list[list[int]], extents: list[tuple[float, float]]
) -> list[float]:
    """A place for each node, near the mean of its neighbours, in the order of its row and without overlap."""
    across = [0.0] * len(extents)

    def spread(row: list[int], wanted: dict[int, float]) -> None:
        # Groups of nodes that touch move together to the mean of what their members want.
        groups: list[tuple[list[int], list[float]]] = []
        for node in row:
            members, offsets = [node], [0.0]
            while groups and start_of(groups[-1], wanted) + groups[-1][1][-1] + gap(groups[-1][0][-1], members[0]) > (
                start_of((members, offsets), wanted)
            ):
                left, left_offsets = groups.pop()
                shift = left_offsets[-1] + gap(left[-1], members[0])
                members, offsets = left + members, left_offsets + [shift + offset for offset in offsets]
            groups.append((members, offsets))
        for group in groups:
            start = start_of(group, wanted)
            for node, offset in zip(*group, strict=True):
                across[node] = start + offset

    def gap(a: int, b: int) -> float:
        return (extents[a][0] + extents[b][0]) / 2 + GAP_ACROSS

    def start_of(group: tuple[list[int], list[float]], wanted: dict[int, float]) -> float:
        return sum(wanted[node] - offset for node, offset in zip(*group, strict=True)) / len(group[0])

    for row in rows:
        spread(row, dict.fromkeys(row, 0.0))
    for sweep in range(12):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            sides = before if sweep % 2 == 0 else after
            wanted = {
                node: sum(across[n] for n in sides[node]) / len(sides[node]) if sides[node] else across[node]
                for node in row
            }
            spread(row, wanted)
    return across

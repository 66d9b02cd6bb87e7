"""Parts of vectors, for every vector unit that this machine has: nothing beside them is read or written."""

from __future__ import annotations

import numpy as np
import pytest
from microkernels import compiled

from deepcore.kernels.cpu.emit import Emitter
from deepcore.kernels.cpu.host import hosts
from deepcore.kernels.cpu.record import address

GUARD = 123.5
CASES = [  # a number of lanes that the code knows is a part of a vector, one that it is told may be all of them
    pytest.param(host, count, known, id=f"{host.vector} {count} {'known' if known else 'told'}")
    for host in hosts()
    for known in (False, True)
    for count in range(1, host.lanes + (not known))
]


def emit_part(host, known):
    """``part(source, target, count)``: copies the first lanes, ``known`` of them, or ``count`` if that is 0."""
    e = Emitter("part", ("source", "target", "count"), host)
    source, target, count = e.arguments.values()
    mask = known or e.first_lanes(count)
    e.store(e.load(source, mask), target, mask)
    return e.finish()


@pytest.mark.parametrize(("host", "count", "known"), CASES)
def test_a_part_of_a_vector(host, count, known, rng):
    part = compiled(emit_part(host, count if known else 0), "part", host)
    source = rng.standard_normal(host.lanes).astype(np.float32)
    target = np.full(3 * host.lanes, GUARD, np.float32)
    part(address(source), address(target) + host.vector_bytes, count)
    np.testing.assert_array_equal(target[host.lanes : host.lanes + count], source[:count])
    assert (target[: host.lanes] == GUARD).all()
    assert (target[host.lanes + count :] == GUARD).all()

"""Memory of tasks is used again, and no more of it is kept than was in use at once."""

from __future__ import annotations

import ctypes
import threading

import pytest

from deepcore.kernels.cpu import scratch
from deepcore.kernels.cpu.pages import HUGE_PAGE, LINE


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch):
    monkeypatch.setattr(scratch, "_free", [])


def kept() -> list[int]:
    """Sizes of what is kept."""
    return sorted(pages.size for pages in scratch._free)


def test_every_worker_has_room_from_a_cache_line_on():
    with scratch.borrow(3, 100) as room:
        assert room.address % LINE == room.bytes % LINE == 0
        assert room.bytes >= 100
        ctypes.memset(room.address, 1, 3 * room.bytes)


def test_large_memory_begins_on_a_huge_page_and_is_used_again():
    with scratch.borrow(2, HUGE_PAGE) as room:
        first = room.address
        assert first % HUGE_PAGE == 0
        ctypes.memset(first, 1, 2 * room.bytes)
    with scratch.borrow(2, HUGE_PAGE) as room:
        assert room.address == first


def test_what_is_in_use_is_lent_to_nobody_else():
    with scratch.borrow(1, 4096):
        pass
    with scratch.borrow(1, 4096) as outer, scratch.borrow(1, 4096) as inner:
        assert abs(outer.address - inner.address) >= 4096
    assert kept() == [4096, 4096]


def test_the_smallest_that_is_large_enough_is_taken():
    with scratch.borrow(1, 4096) as small, scratch.borrow(1, 8192) as large:
        places = small.address, large.address
    with scratch.borrow(1, 4096) as room:
        assert room.address == places[0]
    with scratch.borrow(1, 4096 + LINE) as room:
        assert room.address == places[1]


def test_memory_that_is_too_small_makes_way():
    for size in range(1, 9):
        with scratch.borrow(1, size * 4096), scratch.borrow(1, size * 512):
            pass
    assert kept() == [8 * 512, 8 * 4096]


def test_no_more_is_kept_than_the_most(monkeypatch):
    monkeypatch.setattr(scratch, "KEPT_BYTES", 3 * 4096)
    with scratch.borrow(1, 4096), scratch.borrow(1, 8192), scratch.borrow(1, 4096):
        pass
    assert sum(kept()) <= 3 * 4096


def test_what_threads_take_at_once_is_each_its_own():
    """Pieces have sizes of which some fit a request and some do not, so that each way to take one is gone."""
    owners, shared = {}, []

    def use(seed: int) -> None:
        for turn in range(2000):
            pages = scratch.take(LINE << (seed + turn) % 5)
            if owners.setdefault(pages.address, seed) != seed:
                shared.append(pages.size)
            del owners[pages.address]
            scratch.give(pages)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not shared
    assert len(kept()) <= len(threads)
    assert len({pages.address for pages in scratch._free}) == len(kept())

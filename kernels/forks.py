"""Locks that a forked child finds free: its only thread would wait for ever for another, which it does not have."""

from __future__ import annotations

import os
import threading
from typing import TypeVar

Lock = TypeVar("Lock", bound="threading.Lock | threading.RLock")

_locks: list[tuple[int, threading.Lock | threading.RLock]] = []


def free_in_children(lock: Lock, rank: int) -> Lock:
    """``lock``, which from now on a thread takes before it forks: nobody is amid what it guards.

    Args:
        lock: of a module, for as long as the process lives.
        rank: a thread that holds a lock takes only those of a higher rank.
    """
    _locks.append((rank, lock))
    _locks.sort(key=lambda entry: entry[0])
    return lock


def _take() -> None:
    for _, lock in _locks:
        lock.acquire()


def _release() -> None:
    for _, lock in reversed(_locks):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_take, after_in_parent=_release, after_in_child=_release)

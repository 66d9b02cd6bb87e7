"""The two ends of a launch: what a worker thread does all its life, and what the thread that launches does.

A launch hands out the indices 0 to count - 1, one at a time, to whoever is free. All that is shared is a ``POOL``
record. Those who wait look for a while first, because the next launch of a training step comes within microseconds,
and then sleep.
"""

import sys

from numba import types

from deepcore.kernels.cpu.native import (
    call_task,
    fetch_add,
    helper,
    load_acquire,
    load_int,
    pause,
    record,
    store_int,
    store_release,
)
from deepcore.kernels.cpu.record import CORE_SET, PARTS, POOL, REQUEST, offset

_int = types.intc
_lock = types.ExternalFunction("pthread_mutex_lock", _int(types.intp))
_unlock = types.ExternalFunction("pthread_mutex_unlock", _int(types.intp))
_wait = types.ExternalFunction("pthread_cond_wait", _int(types.intp, types.intp))
_signal = types.ExternalFunction("pthread_cond_broadcast", _int(types.intp))

pool_at = record(POOL)
request_at = record(REQUEST)
parts_at = record(PARTS)
LAUNCH = offset(POOL, "launch")
TICKET = offset(POOL, "ticket")
TAKEN = offset(POOL, "taken")
FINISHED = offset(POOL, "finished")
BEHIND = REQUEST.itemsize  # a request lies what its task is told
FLOOR = 1 << 40  # more than there can be claims in vain
SETTLED = 64  # launches at least for which workers are kept apart from the same thread


if sys.platform == "linux":
    _self = types.ExternalFunction("pthread_self", types.intp())
    _core = types.ExternalFunction("sched_getcpu", _int())
    _get_cores = types.ExternalFunction("sched_getaffinity", _int(_int, types.intp, types.intp))
    _set_cores = types.ExternalFunction("sched_setaffinity", _int(_int, types.intp, types.intp))

    @helper
    def keep_apart(pool):
        """Keeps the workers off the core of the thread that launches, when that has become another.

        The system may wake a worker on the core where the launching thread computes, and then lets the two take turns
        of some milliseconds, while another core idles: a launch on two threads took longer than on one. Where several
        threads launch in turn, workers are not sent around for each of them.
        """
        core, self = _core(), _self()
        if core == pool.core or (self != pool.owner and pool.launch - pool.parted < SETTLED):
            return
        pool.owner = self
        pool.core = core
        pool.parted = pool.launch
        if _get_cores(0, CORE_SET, pool.allowed) != 0:
            return
        own = pool.allowed + core // 64 * 8
        store_int(own, load_int(own) & ~(1 << (core & 63)))
        left = 0
        for at in range(pool.allowed, pool.allowed + CORE_SET, 8):
            left |= load_int(at)
        if left != 0:
            for number in range(pool.workers):
                _set_cores(load_int(pool.threads + 8 * number), CORE_SET, pool.allowed)

else:

    @helper
    def keep_apart(pool):
        """Elsewhere the system is trusted."""


@helper
def claim(told):
    """Takes an index of the launch that is under way; -1 if none is left.

    The ticket counts down from ``FLOOR`` + count, in one number with nothing else, so that whoever comes late cannot
    mistake one launch for another: an index that is left belongs to a launch that cannot end before it is done.
    """
    left = fetch_add(told + TICKET, -1) - FLOOR
    return left - 1 if left > 0 else -1


@helper
def take_part(told, pool, number):
    """Does what is left of a launch; wakes its owner when that was the last of it."""
    did = 0
    index = claim(told)
    while index >= 0:
        call_task(pool.task, pool.told, index, number)
        did += 1
        index = claim(told)
    if did == 0:
        return
    count = pool.count  # still of this launch, which does not end before it is told how much was done
    if fetch_add(told + FINISHED, did) == count - did and number > 0:
        _lock(pool.mutex)
        _signal(pool.done)
        _unlock(pool.mutex)


def worker(told, number, unused):
    """Takes part in every launch that it is awake for."""
    pool = pool_at(told)
    seen = 0
    while True:
        looks = 0
        while load_acquire(told + LAUNCH) == seen and looks < pool.looks:
            pause()
            looks += 1
        if load_acquire(told + LAUNCH) == seen:
            _lock(pool.mutex)
            while load_acquire(told + LAUNCH) == seen:
                _wait(pool.work, pool.mutex)
            _unlock(pool.mutex)
        seen = load_acquire(told + LAUNCH)
        take_part(told, pool, number)


def run(told, request, unused):
    """Runs a request with all workers; without them if someone else has the pool.

    It waits for what a worker has begun, never for a worker that has not: one that the system gives no core to in time
    finds nothing left.
    """
    pool = pool_at(told)
    wanted = request_at(request)
    if pool.workers == 0 or wanted.count == 1 or fetch_add(told + TAKEN, 1) != 0:
        if pool.workers and wanted.count > 1:
            fetch_add(told + TAKEN, -1)
        for index in range(wanted.count):
            call_task(wanted.task, wanted.told, index, 0)
        return
    keep_apart(pool)
    pool.task = wanted.task
    pool.told = wanted.told
    pool.count = wanted.count
    pool.looks = pool.patience
    store_release(told + FINISHED, 0)
    store_release(told + TICKET, FLOOR + wanted.count)
    _lock(pool.mutex)
    store_release(told + LAUNCH, pool.launch + 1)
    _signal(pool.work)
    _unlock(pool.mutex)
    take_part(told, pool, 0)
    looks = 0
    while load_acquire(told + FINISHED) < wanted.count and looks < pool.patience:
        pause()
        looks += 1
    if load_acquire(told + FINISHED) < wanted.count:
        _lock(pool.mutex)
        while load_acquire(told + FINISHED) < wanted.count:
            _wait(pool.done, pool.mutex)
        _unlock(pool.mutex)
    fetch_add(told + TAKEN, -1)


def part(told, index, worker):
    """One index of one of several launches."""
    entry = parts_at(told).order + 16 * index
    at = told + load_int(entry)
    call_task(request_at(at).task, at + BEHIND, load_int(entry + 8), worker)


def nothing(told, index, worker):
    """A task that does nothing, for measuring what a launch costs."""

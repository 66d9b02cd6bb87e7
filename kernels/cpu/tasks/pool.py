"""The two ends of a launch: what a worker thread does all its life, and what the thread that launches does.

A launch hands out the indices 0 to count - 1, one at a time, to whoever is free. All that is shared is a ``POOL``
record. Those who wait look for a while first, because the next launch of a training step comes within microseconds,
and then sleep.
"""

from numba import types

from deepcore.kernels.cpu.native import (
    call_loop,
    call_task,
    copy,
    fetch_add,
    load_acquire,
    load_int,
    pause,
    record,
    stack,
    store_int,
    store_release,
)
from deepcore.kernels.cpu.record import NUMBA_LOOP, POOL, REQUEST, offset

_int = types.intc
_lock = types.ExternalFunction("pthread_mutex_lock", _int(types.intp))
_unlock = types.ExternalFunction("pthread_mutex_unlock", _int(types.intp))
_wait = types.ExternalFunction("pthread_cond_wait", _int(types.intp, types.intp))
_signal = types.ExternalFunction("pthread_cond_broadcast", _int(types.intp))

pool_at = record(POOL)
request_at = record(REQUEST)
loop_at = record(NUMBA_LOOP)
LAUNCH = offset(POOL, "launch")
NEXT = offset(POOL, "next")
TAKEN = offset(POOL, "taken")
UNFINISHED = offset(POOL, "unfinished")


def worker(told, number, unused):
    """Takes part in every launch; returns when one has no task."""
    pool = pool_at(told)
    seen = 0
    while True:
        looks = 0
        while load_acquire(told + LAUNCH) == seen and looks < pool.patience:
            pause()
            looks += 1
        if load_acquire(told + LAUNCH) == seen:
            _lock(pool.mutex)
            while load_acquire(told + LAUNCH) == seen:
                _wait(pool.work, pool.mutex)
            _unlock(pool.mutex)
        seen += 1
        if pool.task == 0:
            return
        index = fetch_add(told + NEXT, 1)
        while index < pool.count:
            call_task(pool.task, pool.told, index, number)
            index = fetch_add(told + NEXT, 1)
        if fetch_add(told + UNFINISHED, -1) == 1:
            _lock(pool.mutex)
            _signal(pool.done)
            _unlock(pool.mutex)


def run(told, request, unused):
    """Runs a request with all workers and waits for the last of them; without them if someone else has the pool."""
    pool = pool_at(told)
    wanted = request_at(request)
    if pool.workers == 0 or wanted.count == 1 or fetch_add(told + TAKEN, 1) != 0:
        if pool.workers and wanted.count > 1:
            fetch_add(told + TAKEN, -1)
        for index in range(wanted.count):
            call_task(wanted.task, wanted.told, index, 0)
        return
    pool.task = wanted.task
    pool.told = wanted.told
    pool.count = wanted.count
    store_release(told + NEXT, 0)
    store_release(told + UNFINISHED, pool.workers)
    _lock(pool.mutex)
    store_release(told + LAUNCH, pool.launch + 1)
    _signal(pool.work)
    _unlock(pool.mutex)
    index = fetch_add(told + NEXT, 1)
    while index < wanted.count:
        call_task(wanted.task, wanted.told, index, 0)
        index = fetch_add(told + NEXT, 1)
    looks = 0
    while load_acquire(told + UNFINISHED) > 0 and looks < pool.patience:
        pause()
        looks += 1
    if load_acquire(told + UNFINISHED) > 0:
        _lock(pool.mutex)
        while load_acquire(told + UNFINISHED) > 0:
            _wait(pool.done, pool.mutex)
        _unlock(pool.mutex)
    fetch_add(told + TAKEN, -1)


def numba_part(told, index, worker):
    """One part of a loop of Numba's: every array from where the part begins, and how long it is."""
    loop = loop_at(told)
    total = load_int(loop.dimensions)
    size = total // loop.parts
    arguments = stack(8 * loop.arrays)
    for i in range(loop.arrays):
        begin = load_int(loop.arguments + 8 * i)
        store_int(arguments + 8 * i, begin + load_int(loop.steps + 8 * i) * size * index)
    dimensions = stack(8 * (loop.inner_dimensions + 1))
    copy(dimensions, loop.dimensions, 8 * (loop.inner_dimensions + 1))
    store_int(dimensions, size if index < loop.parts - 1 else total - size * index)
    call_loop(loop.function, arguments, dimensions, loop.steps, loop.data)


def nothing(told, index, worker):
    """A task that does nothing, for measuring what a launch costs."""

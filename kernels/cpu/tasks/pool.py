"""The two ends of a launch: what a worker thread does all its life, and what the thread that launches does.

A launch hands out the indices 0 to count - 1, one at a time, to whoever is free. All that is shared is a ``POOL``
record. Those who wait look for a while first, because the next launch of a training step comes within microseconds,
and then sleep.
"""

from numba import types

from deepcore.kernels.cpu.native import call_task, fetch_add, load_acquire, pause, record, store_release
from deepcore.kernels.cpu.record import POOL

_int = types.intc
_lock = types.ExternalFunction("pthread_mutex_lock", _int(types.intp))
_unlock = types.ExternalFunction("pthread_mutex_unlock", _int(types.intp))
_wait = types.ExternalFunction("pthread_cond_wait", _int(types.intp, types.intp))
_signal = types.ExternalFunction("pthread_cond_broadcast", _int(types.intp))

pool_at = record(POOL)
LAUNCH = POOL.fields["launch"][1]
NEXT = POOL.fields["next"][1]
UNFINISHED = POOL.fields["unfinished"][1]


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


def launch(told, unused, caller):
    """Runs the launch that the record names, with all workers, and waits for the last of them."""
    pool = pool_at(told)
    store_release(told + NEXT, 0)
    store_release(told + UNFINISHED, pool.workers)
    _lock(pool.mutex)
    store_release(told + LAUNCH, pool.launch + 1)
    _signal(pool.work)
    _unlock(pool.mutex)
    index = fetch_add(told + NEXT, 1)
    while index < pool.count:
        call_task(pool.task, pool.told, index, caller)
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


def alone(task, told, count):
    """Runs a launch in the calling thread."""
    for index in range(count):
        call_task(task, told, index, 0)


def nothing(told, index, worker):
    """A task that does nothing, for measuring what a launch costs."""

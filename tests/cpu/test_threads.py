"""The pool of threads: the same bits however many there are, launches from several Python threads, idleness, forks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from deepcore.backend import numpy_backend
from deepcore.backend.dispatch import Call, implementations, use_implementation
from deepcore.backend.geometry import Conv2DGeometry
from deepcore.kernels.cores import cores
from deepcore.kernels.cpu import threads

GEOMETRIES = (
    Conv2DGeometry.of((3, 30, 28, 16), (3, 3, 16, 70), 1, "same"),
    Conv2DGeometry.of((2, 28, 28, 32), (3, 3, 1, 32), 1, "same", 1, 32),
    Conv2DGeometry.of((2, 20, 28, 3), (3, 3, 3, 64), 1, "same"),
    Conv2DGeometry.of((40, 14, 14, 24), (3, 3, 24, 40), 2, "same"),
)


def everything(rng_seed=3):
    """Every direction of every geometry by every implementation that uses the pool."""
    backend, rng = numpy_backend(), np.random.default_rng(rng_seed)
    results = {}
    for g in GEOMETRIES:
        x, w, dy = (rng.standard_normal(shape).astype(np.float32) for shape in (g.x_shape, g.w_shape, g.y_shape))
        for op, arguments in (("conv2d_fprop", (x, w)), ("conv2d_dgrad", (dy, w)), ("conv2d_wgrad", (x, dy))):
            for record in implementations(op, "cpu"):
                ours = record.name.startswith(("tiles", "winograd", "vectors"))
                if ours and record.verdict(Call(op, "float32", g))[0]:
                    with use_implementation(op, record.name):
                        results[g, op, record.name] = getattr(backend, op)(*arguments, g)
    return results


@pytest.fixture
def pool_of(monkeypatch):
    def make(count):
        monkeypatch.setattr(threads, "_pool", threads.Pool(count))

    return make


def test_the_number_of_threads_does_not_change_a_bit(pool_of):
    pool_of(1)
    alone = everything()
    assert len(alone) >= 13
    for count in (2, 3, 7):
        pool_of(count)
        for key, value in everything().items():
            np.testing.assert_array_equal(value, alone[key], err_msg=str(key))


def test_several_python_threads_compute_what_one_does(pool_of):
    pool_of(2)
    expected = {seed: everything(seed) for seed in range(4)}
    found, problems = {}, []

    def work(seed):
        try:
            for _ in range(3):
                found[seed] = everything(seed)
        except BaseException as problem:  # a thread's exception would pass unseen
            problems.append(problem)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in expected]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not problems
    for seed, results in expected.items():
        for key, value in results.items():
            np.testing.assert_array_equal(found[seed][key], value, err_msg=f"{seed} {key}")


def in_a_process(body, **settings):
    script = f"""
import os, sys, time
import numpy as np
from deepcore.backend import numpy_backend
from deepcore.backend.geometry import Conv2DGeometry
from deepcore.kernels.cpu import threads
g = Conv2DGeometry.of((8, 28, 28, 16), (3, 3, 16, 64), 1, "same")
x, w = np.ones(g.x_shape, np.float32), np.ones(g.w_shape, np.float32)
def once(): return numpy_backend().conv2d_fprop(x, w, g)
{body}
"""
    environment = {**os.environ, **settings}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_an_idle_pool_takes_no_processor_time():
    # Twelve threads that kept looking for work for a second would take as many seconds as there are cores.
    body = "once()\nbefore = time.process_time()\ntime.sleep(1)\nprint(time.process_time() - before)"
    (spent,) = in_a_process(body, DEEPCORE_NUM_THREADS="12")
    assert float(spent) < 0.2


def test_a_process_ends_in_peace_while_the_pool_looks_for_work():
    in_a_process('threads.pool()._record["patience"] = 10**12\nonce()', DEEPCORE_NUM_THREADS="4")


def test_a_pool_that_is_told_to_rest_takes_no_processor_time():
    # Twelve threads of a pool that is patient for a minute.
    body = """
threads.pool()._record["patience"] = 10**9
once()
threads.rest()
time.sleep(0.2)
before = time.process_time()
time.sleep(1)
print(time.process_time() - before)
once()
"""
    (spent,) = in_a_process(body, DEEPCORE_NUM_THREADS="12")
    assert float(spent) < 0.2


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"DEEPCORE_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, "3"),
        ({"DEEPCORE_NUM_THREADS": "", "OMP_NUM_THREADS": "5"}, "5"),
        ({"DEEPCORE_NUM_THREADS": "", "OMP_NUM_THREADS": "4,2"}, "4"),
    ],
)
def test_the_number_of_threads_is_what_the_environment_says(settings, expected):
    assert in_a_process("once()\nprint(threads.pool().threads)", **settings) == [expected]


def test_matrix_products_take_no_more_threads_than_loops():
    body = """
from threadpoolctl import threadpool_info
numpy_backend()
print(max(found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"))
"""
    assert in_a_process(body, DEEPCORE_NUM_THREADS="1", OMP_NUM_THREADS="") == ["1"]


def test_a_number_of_threads_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("DEEPCORE_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="DEEPCORE_NUM_THREADS must be a positive integer; got 'many'"):
        cores.__wrapped__()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_starts_a_pool_of_its_own():
    body = """
import signal, threading
from deepcore.backend.dispatch import use_implementation
def loop():
    with use_implementation("bias_activation", "numba"):
        return numpy_backend().bias_activation(np.ones((1000, 500), np.float32), np.ones(500, np.float32), "relu")
expected = once()
assert (loop() == 2).all()
child = os.fork()
if not child:
    signal.alarm(60)  # a child without threads would wait for them for ever
    started = sum(thread.name == "deepcore" for thread in threading.enumerate()) == 1
    os._exit(0 if started and np.array_equal(once(), expected) and (loop() == 2).all() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert in_a_process(body, DEEPCORE_NUM_THREADS="2") == ["0"]


FORK = """
import importlib, signal, threading
def forked(work):
    child = os.fork()
    if not child:
        signal.alarm(60)  # what waits for ever fails
        os._exit(0 if work() else 1)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize(
    "lock",
    [
        "kernels.cpu.threads._making",
        "kernels.cpu.library._lock",
        "backend.numpy.memory._lock",
        "backend.numpy.packed._lock",
    ],
)
def test_a_forked_child_waits_for_no_thread_that_it_does_not_have(lock):
    body = f"""{FORK}
path, name = "deepcore.{lock}".rsplit(".", 1)
lock = getattr(importlib.import_module(path), name)
held = threading.Event()
def hold():
    with lock:
        held.set()
        time.sleep(0.3)
holder = threading.Thread(target=hold)
holder.start()
held.wait()
ended = forked(lambda: lock.acquire(timeout=5))
holder.join()
print(ended(), lock.acquire(timeout=5))
"""
    assert in_a_process(body) == ["0", "True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_shares_no_scratch_memory_with_its_parent():
    body = f"""{FORK}
import ctypes
from deepcore.kernels.cpu import scratch
from deepcore.kernels.cpu.pages import HUGE_PAGE
def mine(value):
    with scratch.borrow(2, HUGE_PAGE) as room:
        ctypes.memset(room.address, value, 2 * room.bytes)
        time.sleep(0.5)  # the other writes meanwhile
        return ctypes.string_at(room.address, 2 * room.bytes) == bytes([value]) * 2 * room.bytes
assert mine(1)
ended = forked(lambda: mine(2))
print(mine(3), ended())
"""
    assert in_a_process(body) == ["True", "0"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads are not told which cores to use")
def test_workers_are_kept_off_the_core_that_launches():
    body = """
import os
pool = threads.pool()
worker = int(pool._threads[0])
for core in sorted(os.sched_getaffinity(0)) * 2:
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})  # moves this thread there
    os.sched_setaffinity(0, every)
    once()
    launcher, kept = int(pool._record["core"]), os.sched_getaffinity(worker)
    assert kept == (every - {launcher} or every), (launcher, kept, every)
print("right")
"""
    assert in_a_process(body, DEEPCORE_NUM_THREADS="2") == ["right"]

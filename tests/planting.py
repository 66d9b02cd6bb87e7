"""Implementations that exist for one test, and small cases to run them on."""

from __future__ import annotations

import pytest
from threadpoolctl import threadpool_limits

from deepcore.backend import dispatch, numpy_backend
from deepcore.backend.explain import load_records
from deepcore.benchmarks.machine import blas, loop_threads, set_threads


@pytest.fixture
def plant(monkeypatch):
    """``plant(op, name, function)`` lists an implementation, cheapest of all by default, until the test ends."""
    load_records()  # what is first imported while the lists are replaced would be listed for this test alone
    monkeypatch.setattr(dispatch, "_implementations", {op: {**old} for op, old in dispatch._implementations.items()})
    monkeypatch.setattr(dispatch, "_families", {name: [*ops] for name, ops in dispatch._families.items()})
    monkeypatch.setattr(dispatch, "_choices", {})

    def register(op, name, function, cost=0.0, **options):
        dispatch.implementation(op, name, cost=lambda call: cost, **options)(function)

    return register


@pytest.fixture
def genuine():
    """``genuine(op)`` is NumPy's own implementation of ``op``."""
    numpy_backend()
    return lambda op: {record.name: record for record in dispatch.implementations(op)}["numpy"].function


@pytest.fixture
def threads_put_back():
    """Whatever a test does to the number of threads, the next finds what was before."""
    loops, products = loop_threads(), max((library.threads for library in blas()), default=1)
    yield
    set_threads(loops)
    threadpool_limits(products, user_api="blas")

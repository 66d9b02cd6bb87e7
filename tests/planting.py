"""Implementations that exist for one test, and small cases to run them on."""

from __future__ import annotations

import pytest

from deepcore.backend import dispatch, numpy_backend


@pytest.fixture
def plant(monkeypatch):
    """``plant(op, name, function)`` lists an implementation, cheapest of all by default, until the test ends."""
    numpy_backend()
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

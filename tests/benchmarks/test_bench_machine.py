"""What the host of a virtual machine took, as Linux counts it."""

from __future__ import annotations

import pytest
from benchmark_examples import row

from deepcore.benchmarks import machine
from deepcore.benchmarks.machine import Stolen, stolen_text
from deepcore.benchmarks.row import Row
from deepcore.benchmarks.summary import measured_on


@pytest.fixture
def count(tmp_path, monkeypatch):
    """Writes what Linux would tell of how the cores spent their time."""
    file = tmp_path / "stat"
    monkeypatch.setattr(machine, "_STAT", file)
    return lambda line: file.write_text(f"{line}\ncpu0 1 2 3 4 5 6 7 8 9 10\n", encoding="ascii")


def test_the_share_is_of_what_passed_since(count):
    count("cpu  1000 10 100 5000 20 0 30 400 7 0")
    stolen = Stolen()
    assert stolen.share() is None
    count("cpu  1050 10 110 5010 20 0 30 430 57 0")  # 50 + 10 + 10 + 30 ticks; a guest's are among the user's
    assert stolen.share() == 0.3


def test_a_system_that_does_not_tell(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_STAT", tmp_path / "nothing")
    assert Stolen().share() is None


@pytest.mark.parametrize("shares", [[], [None, None], [0.0, 0.019]])
def test_what_is_not_worth_telling(shares):
    assert stolen_text(shares) == ""
    assert len(measured_on([row(stolen=share) for share in shares])) == bool(shares)


def test_the_command_ends_with_what_was_taken():
    rows = [row(stolen=share) for share in (0.3, 0.1, None)]
    told = str(measured_on(rows)[-1])
    assert told.startswith("The host took 20% of the cores' time from this machine, up to 30% in a row:")


def test_rows_of_earlier_versions_do_not_say():
    record = row().to_json().replace(', "stolen": null', "")
    assert "stolen" not in record
    assert Row.from_json(record).stolen is None

import dataclasses
import json

import pytest

from deepcore.benchmarks.case import cases_of
from deepcore.benchmarks.device import open_device
from deepcore.benchmarks.row import Row, Writer, read
from deepcore.benchmarks.run import Setting, measure, plan
from deepcore.benchmarks.suite import LENET


@pytest.fixture(scope="module")
def row():
    device = open_device("cpu")
    (job,) = plan(cases_of(LENET, LENET.layers[-1], ["fprop"]), device)
    (found,) = measure(job, device, Setting(repeats=3, seconds=0.0, cold=False))
    return found


def test_json_and_back(row):
    assert Row.from_json(row.to_json()) == row
    record = json.loads(row.to_json())
    assert record["gflops_per_s"] == pytest.approx(2 * 32 * 84 * 10 / row.p50 / 1e9)
    assert record["gbytes_per_s"] == pytest.approx(row.gbytes)


def test_a_row_says_where_it_was_measured(row):
    assert row.versions["deepcore"]
    assert row.versions["numpy"]
    assert row.threads >= 1
    assert row.commit
    assert row.cpu
    assert row.time.endswith("+00:00")
    assert (row.device, row.clock, row.transfer_bytes, row.precision) == ("cpu", "call", 0, "float32")


def test_a_wrong_row_has_no_rates(row):
    wrong = dataclasses.replace(row, correct=False, p20=None, p50=None, p80=None, error=None, message="raised")
    assert Row.from_json(wrong.to_json()) == wrong
    assert wrong.gflops is None
    assert wrong.gbytes is None


def test_a_missing_field_is_named():
    with pytest.raises(ValueError, match=r"Not a benchmark row: suite, layer"):
        Row.from_json("{}")


def test_rows_are_on_disk_as_soon_as_they_are_written(row, tmp_path):
    path = tmp_path / "deep" / "rows.jsonl"
    with Writer([path]) as writer:
        writer.write(row)
        assert list(read(path)) == [row]
        writer.write(row)
    with Writer([path]) as writer:
        writer.write(row)
    assert list(read(path)) == [row] * 3


@pytest.mark.parametrize("line", ["layer p50", "[]", "{}"])
def test_a_line_that_holds_no_row_is_named(line, row, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{row.to_json()}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 3: "):
        list(read(path))

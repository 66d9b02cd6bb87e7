"""The emulator against the formulas, and against what GPUs made of the same cases.

``make gpu-check`` runs the same cases on a GPU and records them; a record goes to ``golden/``.
"""

from __future__ import annotations

import dataclasses
import json
import re
from itertools import groupby

import numpy as np
import pytest
from fidelity import record
from fidelity.case import Near, differences
from fidelity.place import Emulator, encode
from fidelity.suite import CASES, GOLDEN, against_golden, judge, write_golden

from deepcore.backend.cuda.launcher import FOLDER
from deepcore.kernels.emulator import im2col_map, tensor_map

RECORDS = sorted(GOLDEN.glob("*.npz"))
GROUPS = [
    pytest.param(tuple(cases), id=f"{file.stem}-{'-'.join(str(value) for _, value in defines) or 'plain'}")
    for (file, defines), cases in groupby(CASES, key=lambda case: (case.file, case.defines))
]


def problems(cases, place):
    return [f"{case.name}: {text}" for case in cases for text in judge(case, place).problems]


@pytest.mark.parametrize("cases", GROUPS)
def test_the_emulator_follows_the_formulas(cases):
    assert problems(cases, Emulator()) == []


@pytest.mark.parametrize("cases", [group for group in GROUPS if group.values[0][0].checked])
def test_the_emulator_finds_nothing_in_check_mode(cases):
    assert problems([case for case in cases if case.checked], Emulator(check=True)) == []


@pytest.mark.skipif(
    not RECORDS, reason=f"NO GPU HAS BEEN RECORDED YET: `make gpu-check` makes files for {GOLDEN.name}/"
)
@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_the_emulator_does_what_the_gpu_did(path):
    assert against_golden(path, CASES, Emulator()) == []


def test_every_wrapper_has_a_case():
    wrappers = set(re.findall(r"^\s*DC_PTX_FUNCTION [\w ]+?(\w+)\(", (FOLDER / "ptx.cuh").read_text(), re.M))
    assert {"load_matrix_x4", "copy_async_16", "wait_mbarrier", "load_im2col", "wait_wgmma"} <= wrappers
    sources = "".join(path.read_text() for path in {case.file for case in CASES})
    sources += " ".join(f"dc::wgmma_{dict(case.defines).get('TYPE')}" for case in CASES)  # joined by a macro
    uncalled = {name for name in wrappers if not re.search(rf"dc::{name}\b", sources)}
    assert uncalled == {"shared_address"}, "a wrapper needs a micro-kernel and a case (shared_address has no result)"


def test_names_are_unique():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.fixture
def some():
    """One case with an exact formula, and one with a bound."""
    by_name = {case.name: case for case in CASES}
    return tuple(by_name[name] for name in ("mma.sync bf16, whole numbers", "mma.sync bf16, normal numbers"))


def test_a_record_is_compared_exactly_or_within_twice_the_bound(some, tmp_path):
    path = tmp_path / "gpu.npz"
    outcomes = [judge(case, Emulator()) for case in some]
    write_golden(path, outcomes, {"gpu": "none"})
    with np.load(path) as golden:
        assert json.loads(str(golden["about"]))["gpu"] == "none"
        assert sorted(golden.files) == sorted(["about", *(f"{case.name}/d" for case in some)])
    assert against_golden(path, CASES, Emulator()) == []

    exact, near = outcomes
    bound = some[1].expected(some[1].inputs())["d"].bound
    for change, wrong in ((1.5, 0), (3, 1)):
        near.outputs["d"].reshape(-1)[:] += (change * bound).reshape(-1).astype(np.float32)
        write_golden(path, [exact, near], {})
        found = against_golden(path, some, Emulator())
        near.outputs["d"].reshape(-1)[:] -= (change * bound).reshape(-1).astype(np.float32)
        assert len(found) == wrong, found
    exact.outputs["d"].reshape(-1)[5] += 1
    write_golden(path, [exact, near], {})
    (found,) = against_golden(path, some, Emulator())
    assert "1 of 128 elements differ, first element 5" in found


def test_a_record_of_other_inputs_is_refused(some, tmp_path):
    outcome = judge(some[0], Emulator())
    write_golden(tmp_path / "gpu.npz", [dataclasses.replace(outcome, digest="0" * 16)], {})
    (found,) = against_golden(tmp_path / "gpu.npz", some, Emulator())
    assert "was recorded with other inputs" in found


def test_a_wrong_output_is_told(some):
    class Wrong(Emulator):
        def run(self, case, arguments):
            outputs = super().run(case, arguments)
            outputs["d"].reshape(-1)[7] += 0.5
            return outputs

    for case in some:
        (text,) = judge(case, Wrong()).problems
        assert "d: 1 of 128 elements differ, first element 7" in text


def test_nan_is_wrong_unless_it_is_expected():
    nan = np.array([np.nan], np.float32)
    assert differences({"y": nan}, {"y": nan}) == []
    assert differences({"y": nan}, {"y": np.zeros(1, np.float32)})
    assert differences({"y": nan}, {"y": Near(np.zeros(1), 1e30)})


def test_an_older_gpu_skips_what_it_lacks(some):
    class Turing(Emulator):
        capability = 75

    assert judge(some[0], Turing()).skipped == "needs compute capability 8.0"


def test_the_program_records_and_says_what_it_did(tmp_path, capsys):
    path = tmp_path / "golden.npz"
    arguments = ["--device", "emulator", "--every", "40", "--about", '{"commit": "abc"}', "--output", str(path)]
    assert record.main(arguments) == 0
    chosen = CASES[::40]
    assert f"{len(chosen)} cases right, 0 wrong, 0 skipped" in capsys.readouterr().out
    with np.load(path) as golden:
        about = json.loads(str(golden["about"]))
    assert about["commit"] == "abc"
    assert set(about["digests"]) == {case.name for case in chosen}


class Driver:
    """Keeps the arguments that libcuda would get."""

    def __init__(self, code=0):
        self.code = code

    def cuTensorMapEncodeTiled(self, *arguments):  # noqa: N802, the driver's name
        self.arguments = arguments
        return self.code

    cuTensorMapEncodeIm2col = cuTensorMapEncodeTiled  # noqa: N815


def test_tensor_maps_as_the_driver_takes_them():
    driver = Driver()
    made = encode(tensor_map(np.zeros((3, 5, 8), np.float16), (1, 2, 8), "32B"), 4096, driver)
    assert (made.dtype, made.shape) == (np.dtype("V128"), (1,))
    words = [list(word) if hasattr(word, "__len__") else word.value for word in driver.arguments[1:]]
    # float16, rank, address, sizes and strides from the innermost axis, box, steps, then interleave and swizzle.
    assert words == [6, 3, 4096, [8, 5, 3], [16, 80], [8, 2, 1], [1, 1, 1], 0, 1, 0, 0]
    encode(im2col_map(np.zeros((2, 5, 7, 16), np.float32), (-1, -2), (0, 1), 8, 35, 2, "64B"), 64, driver)
    words = [list(word) if hasattr(word, "__len__") else word.value for word in driver.arguments[1:]]
    # ... lower and upper corners as (width, height), channels, pixels, steps, interleave, swizzle.
    sizes, strides = [16, 7, 5, 2], [64, 448, 2240]
    assert words == [7, 4, 64, sizes, strides, [-1, -2], [0, 1], 8, 35, [1, 2, 2, 1], 0, 2, 0, 0]
    with pytest.raises(RuntimeError, match=r"The driver refused a tensor map of \(4, 4\) float32, box \(2, 4\): 1\."):
        encode(tensor_map(np.zeros((4, 4), np.float32), (2, 4)), 64, Driver(code=1))

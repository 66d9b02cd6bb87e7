"""Findings on a 64-bit Arm processor, whose switch between threads and whose shared memory are compiled differently.

The values that kernels compute there are tested with everyone else's, in ``test_values.py``.
"""

from __future__ import annotations

import pytest
from emulator.foreign import MISSING, REASON, ForeignModule
from emulator.marks import KERNELS, marks
from emulator.test_findings import CASES, call

pytestmark = pytest.mark.skipif(bool(MISSING), reason=REASON)


@pytest.fixture(scope="module")
def planted():
    return ForeignModule(KERNELS / "planted.cu", check=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kernel)
def test_planted_bug_is_found_and_the_right_version_is_clean(planted, case):
    expected = marks("planted.cu", case.kernel, "FINDING")
    assert call(planted, case, 0, "random", 1).findings == ()
    findings = call(planted, case, 1, "random", 1).findings
    assert {finding.kind for finding in findings} == set(expected.values())
    if findings[0].kind != "unwritten":
        assert {finding.line for finding in findings} <= set(expected)
    assert case.says in findings[0].message

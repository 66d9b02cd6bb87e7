"""The search for mutants sees every way to synchronise, and nothing else. `make mutation` judges the mutants."""

from __future__ import annotations

import pytest
from mutation import SYNCHRONISATION, covering, mutants

from deepcore.backend.cuda import launcher
from deepcore.kernels.emulator import has_compiler


@pytest.mark.parametrize(
    "statement",
    [
        "__syncthreads();",
        "__syncwarp(dc::full_warp);",
        "__threadfence_block();",
        "dc::wait_copies<1>();",
        "dc::commit_copies();",
        "dc::sync_threads(1 + warp() / 4, 128);",
        "dc::wait_mbarrier(&full[stage], parity);",
        "dc::arrive_and_expect(&full[stage], sizeof(left) + sizeof(right));",
        "dc::fence_async_proxy();",
        "dc::wait_wgmma<0>();",
    ],
)
def test_a_statement_is_found_whole(statement):
    assert [match[0] for match in SYNCHRONISATION.finditer(f"if (more) {statement} y[i] = x[i];")] == [statement]


def test_every_barrier_of_the_kernels_is_found_in_its_place(tmp_path, monkeypatch):
    (tmp_path / "a.cuh").write_text("// __syncthreads();\n/* __syncwarp();\n*/ __syncthreads(); // why\n")
    monkeypatch.setattr(launcher, "FOLDER", tmp_path)
    ((file, line, start, end),) = [(m.file, m.line, m.start, m.end) for m in mutants(None)]
    assert (file, line) == ("a.cuh", 3)
    assert (tmp_path / "a.cuh").read_text()[start:end] == "__syncthreads();"


@pytest.mark.skipif(not has_compiler(), reason="THE CUDA KERNELS ARE NOT CHECKED: no C++ compiler. Install g++.")
def test_every_mutant_is_covered_by_a_launch():
    assert [str(mutant) for mutant in mutants(None) if not covering(mutant.file)] == []

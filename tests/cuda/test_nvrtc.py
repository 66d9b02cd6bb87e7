"""The texts that NVRTC is given compile there as they do with nvcc. Needs CuPy and NVRTC, and no GPU."""

from __future__ import annotations

import importlib.util

import pytest

from deepcore.backend.cuda import cubin
from deepcore.benchmarks import warmup
from deepcore.benchmarks.case import cases_of
from deepcore.benchmarks.suite import LENET


def _missing() -> str:
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed"
    try:
        from cupy.cuda import nvrtc

        nvrtc.getVersion()
    except Exception as problem:  # whatever a broken installation raises
        return f"NVRTC cannot be loaded ({type(problem).__name__}: {problem})"
    return ""


MISSING = _missing()
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"NVRTC DOES NOT COMPILE THE KERNELS HERE: {MISSING}; pip install 'deepcore[cuda13]'"
)


@pytest.mark.parametrize("capability", [75, 80, 90])
def test_every_file_compiles(capability, monkeypatch, tmp_path):
    """Each file with the first of its sets of macros that a training step of LeNet needs."""
    monkeypatch.setattr(cubin, "cache_folder", lambda: tmp_path)
    builds = warmup.builds([case for layer in LENET.layers for case in cases_of(LENET, layer)])
    first = dict(reversed(builds))
    for file, macros in first.items():
        made = cubin.cubin(file, dict(macros), capability)
        assert not made.cached
        code = made.path.read_bytes()
        assert code[:5] == b"\x7fELF\x02"
        assert len(code) % 8 == 0, "no byte is missing"
    assert len(first) >= 10

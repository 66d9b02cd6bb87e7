"""The CUDA kernels, compiled by nvcc for GPUs that this machine need not have.

What is compiled is what a GPU would be given: the text that goes to NVRTC, with the sets of macros that the launches of
``launches.py`` build. ptxas then says what each kernel costs: nothing may spill, and registers stay within the budget
that stands above the kernel.

A set of macros takes nvcc about a second. By default sm_90 gets as many sets as hold every value of every macro for
every kernel, but not every combination; sm_75 and sm_80 get the first set of float32 that each kernel is launched with,
in each format of tensor cores that they have, and that of a type of 16 bits, on sm_75 the one in which it cannot
compute. DEEPCORE_COMPILE_ALL=1 compiles every combination for all. What a text gave is kept in pytest's cache
(``--cache-clear`` empties it).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from launches import Defines, launcher, variants

from deepcore.backend.cuda.cubin import translation_unit
from deepcore.kernels.budget import register_budgets
from deepcore.kernels.emulator import has_compiler
from deepcore.kernels.signature import parse_signatures

REGISTERS = 65536  # of a multiprocessor, for all threads of its blocks
TARGETS = ("sm_75", "sm_80", "sm_90a")
HALF_TYPES = ("__half", "__nv_bfloat16")
OLDER = {"sm_75": ("float", "__nv_bfloat16"), "sm_80": ("float", "__half")}  # what T is in the selection for them


def find_nvcc() -> str | None:
    """``$NVCC``, else the one on the path, else that of the package nvidia-cuda-nvcc, wherever Python finds it."""
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
    packaged = [str(folder / part / "bin" / "nvcc") for folder in folders for part in ("cu13", "cuda_nvcc")]
    candidates = (os.environ.get("NVCC"), shutil.which("nvcc"), *packaged)
    return next((nvcc for nvcc in candidates if nvcc and shutil.which(nvcc)), None)


NVCC = find_nvcc()

pytestmark = [
    pytest.mark.skipif(
        NVCC is None,
        reason="THE CUDA KERNELS ARE NOT COMPILED: no nvcc. Set NVCC, or pip install 'deepcore[cuda-compile]'.",
    ),
    pytest.mark.skipif(not has_compiler(), reason="THE CUDA KERNELS ARE NOT COMPILED: nvcc needs g++. Install it."),
]


class Usage(NamedTuple):
    """What ptxas says of one kernel."""

    registers: int
    stack: int
    spills: int


def selected(target: str) -> list[tuple[str, Defines]]:
    """What is compiled for a target."""
    capability = int(re.sub(r"\D", "", target))
    everything = {key: kernels for key, kernels in variants().items() if _needs(key[1]) <= capability}
    if os.environ.get("DEEPCORE_COMPILE_ALL"):
        return list(everything)
    seen: set[tuple[object, ...]] = set()
    chosen = []
    for (file, defines), kernels in everything.items():
        macros = dict(defines)
        if target == "sm_90a":
            new = {(file, kernel, macro) for kernel in kernels for macro in defines}
        elif macros["T"] in OLDER[target] or "FORMAT" in macros:
            new = {(file, kernel, macros["T"], macros.get("FORMAT")) for kernel in kernels}
        else:
            continue
        if new - seen:
            chosen.append((file, defines))
            seen |= new
    return chosen


def _needs(defines: Defines) -> int:
    """The oldest GPU that these macros are launched on."""
    return int(dict(defines).get("CAPABILITY", 0))


@functools.cache
def version() -> str:
    return subprocess.run([str(NVCC), "--version"], capture_output=True, text=True, check=True).stdout


def compile_kernel(file: str, defines: Defines, target: str, cache: Path) -> str:
    """What nvcc and ptxas say of one translation unit."""
    source = launcher.FOLDER / file
    text = translation_unit(source, dict(defines))
    command = ["-std=c++17", f"-arch={target}", "-cubin", "-Xptxas", "-v,-warn-spills", f"-I{source.parent}"]
    headers = [header.read_text(encoding="utf-8") for header in sorted(source.parent.glob("*.cuh"))]
    key = hashlib.sha256("\0".join([version(), *command, text, *headers]).encode()).hexdigest()
    kept = cache / f"{key}.txt"
    if not kept.exists():
        with tempfile.TemporaryDirectory() as scratch:
            unit = Path(scratch) / file
            unit.write_text(text, encoding="utf-8")
            done = subprocess.run(
                [str(NVCC), *command, str(unit), "-o", str(unit.with_suffix(".cubin"))], capture_output=True, text=True
            )
        if done.returncode:
            return f"{file} {json.dumps(dict(defines))} for {target} does not compile:\n{done.stderr}"
        temporary = kept.with_suffix(f".{os.getpid()}")
        temporary.write_text(done.stdout + done.stderr, encoding="utf-8")
        temporary.replace(kept)
    return kept.read_text(encoding="utf-8")


def usages(text: str) -> dict[str, Usage]:
    """What ptxas says of each kernel of a translation unit."""
    found = {}
    for part in re.split(r"Compiling entry function '", text)[1:]:
        stack, *spills = map(
            int, re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part).groups()
        )
        found[part.partition("'")[0]] = Usage(int(re.search(r"Used (\d+) registers", part)[1]), stack, sum(spills))
    return found


def problems(file: str, defines: Defines, target: str, kernels: set[str], cache: Path) -> list[str]:
    text = compile_kernel(file, defines, target, cache)
    if "does not compile" in text:
        return [text]
    source = (launcher.FOLDER / file).read_text(encoding="utf-8")
    macros = dict(defines)
    half = macros["T"] in HALF_TYPES
    budgets, signatures, used = register_budgets(source, half), parse_signatures(source, macros), usages(text)
    built = " ".join(f"{name}={value}" for name, value in defines)
    found = [f"{target} {file} {built}: {line}" for line in text.splitlines() if re.search("warning|C75", line)]
    for kernel in sorted(kernels):
        usage, budget = used[kernel], budgets.get(kernel)
        where = f"{target} {kernel} {built}: {usage}"
        if usage.spills or usage.stack:
            found.append(f"{where}: it spills")
        if usage.registers * (signatures[kernel].max_threads or 1024) > REGISTERS:
            found.append(f"{where}: a block does not fit a multiprocessor")
        if target == "sm_90a" and (half or macros["T"] == "float") and usage.registers > (budget or 0):
            found.append(f"{where}: its budget is {budget}")
    return found


@pytest.fixture(scope="session")
def cache(request):
    return request.config.cache.mkdir("nvcc")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("file", sorted(path.name for path in launcher.FOLDER.glob("*.cu")))
def test_compiles_without_spills_and_within_its_registers(file, target, cache):
    everything = variants()
    tasks = [variant for variant in selected(target) if variant[0] == file]
    assert tasks, f"nothing of {file} is launched in tests/cuda/launches.py"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda task: problems(*task, target, everything[task], cache), tasks)
    assert [problem for part in found for problem in part] == []


DISASSEMBLER = next((tool for tool in map(shutil.which, ("cuobjdump", "nvdisasm")) if tool), None)


@pytest.mark.skipif(
    DISASSEMBLER is None,
    reason="NOT SEEN WHETHER TENSOR CORES ARE USED: neither cuobjdump nor nvdisasm. pip install nvidia-cuda-cuobjdump.",
)
def test_products_use_tensor_cores(tmp_path):
    """Every format of ``matmul_mma`` becomes HMMA instructions."""
    by_format = {dict(defines)["FORMAT"]: defines for file, defines in variants() if file == "matmul_mma.cu"}
    assert len(by_format) == 4
    for format, defines in by_format.items():
        unit = tmp_path / f"{format}.cu"
        unit.write_text(translation_unit(launcher.FOLDER / "matmul_mma.cu", dict(defines)), encoding="utf-8")
        command = [str(NVCC), "-std=c++17", "-arch=sm_90a", "-cubin", f"-I{launcher.FOLDER}", str(unit), "-o"]
        subprocess.run([*command, str(unit.with_suffix(".cubin"))], check=True, capture_output=True)
        options = ["-sass"] if "cuobjdump" in str(DISASSEMBLER) else []
        code = [str(DISASSEMBLER), *options, str(unit.with_suffix(".cubin"))]
        assert "HMMA" in subprocess.run(code, check=True, capture_output=True, text=True).stdout, defines


@pytest.mark.parametrize("half", [False, True], ids=["float", "16 bits"])
@pytest.mark.parametrize("file", sorted(path.name for path in launcher.FOLDER.glob("*.cu")))
def test_budgets_are_near_what_is_used(file, half, cache):
    """A budget far above the truth would hide that a kernel grew. One for 16 bits is written where float's is below."""
    used: dict[str, int] = {}
    everything = variants()
    for name, defines in selected("sm_90a"):
        if name == file and dict(defines)["T"] in (HALF_TYPES if half else ("float",)):
            kernels = everything[name, defines]
            text = compile_kernel(file, defines, "sm_90a", cache)
            for kernel, usage in usages(text).items():
                if kernel in kernels:
                    used[kernel] = max(used.get(kernel, 0), usage.registers)
    source = (launcher.FOLDER / file).read_text(encoding="utf-8")
    budgets, floats = register_budgets(source, half), register_budgets(source)
    if half:
        used = {kernel: most for kernel, most in used.items() if budgets[kernel] != floats[kernel]}
    assert {kernel: budgets[kernel] for kernel in used} == {kernel: -(-most // 8) * 8 for kernel, most in used.items()}

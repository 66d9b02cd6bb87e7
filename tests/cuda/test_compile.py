"""The CUDA kernels, compiled by nvcc for GPUs that this machine need not have.

What is compiled are the sets of macros that the launches of ``launches.py`` build. ptxas then says what each kernel
costs: nothing may spill, and registers stay within the budget that stands above the kernel.

More than half of nvcc's time goes into reading CUDA's own headers. Therefore sets of macros share translation units,
each in a namespace of its own, where a kernel takes the same registers. The first set of a file is compiled for sm_90
by itself, as a GPU would be given it: that is the text that goes to NVRTC.

By default sm_90 gets as many sets as hold every value of every macro for every kernel, but not every combination; sm_75
gets the first set of float32 that each kernel is launched with, in each format of tensor cores that it has, and that of
the type of 16 bits in which it cannot compute; sm_80 those of what sm_75 has no instructions for. ``make test-slow``
compiles every combination for all. What a text gave is kept in pytest's cache (``--cache-clear`` empties it).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
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
from deepcore.kernels.cache import once, replace
from deepcore.kernels.emulator import BuildError, has_compiler
from deepcore.kernels.signature import parse_signatures

REGISTERS = 65536  # of a multiprocessor, for all threads of its blocks
FILES = sorted(path.name for path in launcher.FOLDER.glob("*.cu"))
TARGETS = ("sm_75", "sm_80", "sm_90a")
HALF_TYPES = ("__half", "__nv_bfloat16")
OLDEST_TYPES = ("float", "__nv_bfloat16")  # what T is in the selection for sm_75
SHARED = 8  # sets of macros in a translation unit: enough to save most of the headers, few enough to keep cores busy


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
    """What is compiled for a target every time."""
    seen: set[tuple[object, ...]] = set()
    chosen = []
    for (file, defines), kernels in everything(target).items():
        macros = dict(defines)
        if target == "sm_90a":
            new = {(file, kernel, macro) for kernel in kernels for macro in defines}
        elif (target == "sm_75" and macros["T"] in OLDEST_TYPES) or _needs(defines) == 80:
            new = {(file, kernel, macros["T"], macros.get("FORMAT")) for kernel in kernels}
        else:
            continue
        if new - seen:
            chosen.append((file, defines))
            seen |= new
    return chosen


@functools.cache
def everything(target: str) -> dict[tuple[str, Defines], set[str]]:
    """What is launched on a target: for each file and set of macros its kernels."""
    capability = int(re.sub(r"\D", "", target))
    return {key: kernels for key, kernels in variants().items() if _needs(key[1]) <= capability}


def _needs(defines: Defines) -> int:
    """The oldest GPU that these macros are launched on."""
    return int(dict(defines).get("CAPABILITY", 0))


@functools.cache
def version() -> str:
    return subprocess.run([str(NVCC), "--version"], capture_output=True, text=True, check=True).stdout


def units(sets: list[Defines], target: str) -> list[list[Defines]]:
    """The sets of macros of each translation unit."""
    alone = 1 if target == "sm_90a" else 0
    return [*([one] for one in sets[:alone]), *(sets[i : i + SHARED] for i in range(alone, len(sets), SHARED))]


def shared_unit(source: Path, sets: list[Defines]) -> str:
    """A translation unit in which the kernels of each set lie in a namespace, and have its number behind their names.

    CUDA's own headers stand before all of them; ours are repeated in each, since they may depend on the macros.
    """
    parts, headers = [], set()
    for number, defines in enumerate(sets):
        built = " ".join(f"{name}={value}" for name, value in defines)
        text = _inlined(source, f"{source.name} with {built}", {source.name})
        headers |= set(re.findall(r"#include <.*>", text))
        kernels = parse_signatures(source.read_text(encoding="utf-8"), dict(defines))
        macros = {**{kernel: f"{kernel}_{number}" for kernel in kernels}, **dict(defines)}
        gone = dict.fromkeys([*macros, *re.findall(r"^[ \t]*#[ \t]*define (\w+)", text, flags=re.MULTILINE)])
        parts += [f"#define {name} {value}" for name, value in macros.items()]
        parts += [f"namespace set_{number} {{", text, "}", *(f"#undef {name}" for name in gone)]
    return "\n".join([*sorted(headers), *parts, ""])


def _inlined(file: Path, label: str, seen: set[str]) -> str:
    """The text of a file with those of our headers, each where it is first included; ``label`` names it in messages."""
    lines = [f'#line 1 "{label}"']
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        ours = re.match(r'[ \t]*#[ \t]*include "([^"]+)"', line)
        if ours and ours[1] not in seen:
            seen.add(ours[1])
            lines += [_inlined(file.with_name(ours[1]), ours[1], seen), f'#line {number + 1} "{label}"']
        else:
            lines.append("" if ours or line.startswith("#pragma once") else line)
    return "\n".join(lines)


def compile_unit(file: str, sets: list[Defines], target: str, cache: Path) -> str:
    """What nvcc and ptxas say of one translation unit."""
    source = launcher.FOLDER / file
    text = translation_unit(source, dict(sets[0])) if len(sets) == 1 else shared_unit(source, sets)
    command = ["-std=c++17", f"-arch={target}", "-cubin", "-Xptxas", "-v,-warn-spills", f"-I{source.parent}"]
    headers = [header.read_text(encoding="utf-8") for header in sorted(source.parent.glob("*.cuh"))]
    key = hashlib.sha256("\0".join([version(), *command, text, *headers]).encode()).hexdigest()
    kept = cache / f"{key}.txt"

    def make() -> None:
        with tempfile.TemporaryDirectory() as scratch:
            unit = Path(scratch) / file
            unit.write_text(text, encoding="utf-8")
            done = subprocess.run(
                [str(NVCC), *command, str(unit), "-o", str(unit.with_suffix(".cubin"))], capture_output=True, text=True
            )
        if done.returncode:
            built = "\n".join(str(dict(defines)) for defines in sets)
            raise BuildError(f"{file} for {target} does not compile with one of these:\n{built}\n{done.stderr}")
        replace(cache, kept.name, lambda path: path.write_text(done.stdout + done.stderr, encoding="utf-8"))

    once(kept, make)
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


def measured(
    file: str, sets: list[Defines], target: str, cache: Path
) -> tuple[dict[Defines, dict[str, Usage]], list[str]]:
    """What each kernel takes with each set of macros, and the warnings."""
    shares = units(sets, target)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        texts = list(pool.map(lambda share: compile_unit(file, share, target, cache), shares))
    found = {}
    for share, text in zip(shares, texts, strict=True):
        used = usages(text)
        for number, defines in enumerate(share):
            kernels = everything(target)[file, defines]
            found[defines] = {kernel: used[kernel if len(share) == 1 else f"{kernel}_{number}"] for kernel in kernels}
    return found, [line for text in texts for line in text.splitlines() if re.search("warning|C75", line)]


def problems(file: str, sets: list[Defines], target: str, cache: Path) -> list[str]:
    source = (launcher.FOLDER / file).read_text(encoding="utf-8")
    used, warnings = measured(file, sets, target, cache)
    found = [f"{target} {file}: {line}" for line in warnings]
    for defines, kernels in used.items():
        macros = dict(defines)
        half = macros["T"] in HALF_TYPES
        budgets, signatures = register_budgets(source, half), parse_signatures(source, macros)
        built = " ".join(f"{name}={value}" for name, value in defines)
        for kernel, usage in sorted(kernels.items()):
            budget = budgets.get(kernel)
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
@pytest.mark.parametrize("file", FILES)
def test_compiles_without_spills_and_within_its_registers(file, target, cache):
    assert any(name == file for name, _ in variants()), f"nothing of {file} is launched in tests/cuda/launches.py"
    assert problems(file, [defines for name, defines in selected(target) if name == file], target, cache) == []


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("file", FILES)
def test_every_combination_compiles(file, target, cache):
    assert problems(file, [defines for name, defines in everything(target) if name == file], target, cache) == []


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
@pytest.mark.parametrize("file", FILES)
def test_budgets_are_near_what_is_used(file, half, cache):
    """A budget far above the truth would hide that a kernel grew. One for 16 bits is written where float's is below."""
    most: dict[str, int] = {}
    used, _ = measured(file, [defines for name, defines in selected("sm_90a") if name == file], "sm_90a", cache)
    for defines, kernels in used.items():
        if dict(defines)["T"] in (HALF_TYPES if half else ("float",)):
            for kernel, usage in kernels.items():
                most[kernel] = max(most.get(kernel, 0), usage.registers)
    source = (launcher.FOLDER / file).read_text(encoding="utf-8")
    budgets, floats = register_budgets(source, half), register_budgets(source)
    if half:
        most = {kernel: registers for kernel, registers in most.items() if budgets[kernel] != floats[kernel]}
    assert {kernel: budgets[kernel] for kernel in most} == {kernel: -(-used // 8) * 8 for kernel, used in most.items()}

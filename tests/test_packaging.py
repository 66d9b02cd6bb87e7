"""A wheel built from the tree holds all of it, and works where the tree is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".cu", ".cuh", ".h", ".cpp"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The contents of a wheel of this tree, with one more file of each kind that a kernel can be written in."""
    tree = tmp_path_factory.mktemp("tree")
    for part in ("deepcore", "kernels", "benchmarks"):
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__", "*.nb?"))
    for file in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, tree)
    for planted in ("cuda/planted.cu", "cuda/planted.cuh", "emulator/planted.h", "emulator/planted.cpp"):
        (tree / "kernels" / planted).write_text("// planted by the test\n")
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", out, tree]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (file,) = out.glob("deepcore-*.whl")
    installed = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(installed)
    return tree, installed


def test_every_source_file_is_inside(wheel):
    tree, installed = wheel
    places = {"deepcore": "deepcore", "kernels": "deepcore/kernels", "benchmarks": "deepcore/benchmarks"}
    expected = {
        Path(place) / file.relative_to(tree / part)
        for part, place in places.items()
        for file in (tree / part).rglob("*")
        if file.suffix in SUFFIXES
    }
    found = {file.relative_to(installed) for file in (installed / "deepcore").rglob("*") if file.suffix in SUFFIXES}
    assert expected - found == set()
    assert found - expected == set()
    assert {file.name for file in found if file.stem == "planted"} == {
        "planted.cu",
        "planted.cuh",
        "planted.h",
        "planted.cpp",
    }
    assert (installed / "deepcore/py.typed").is_file()


def test_it_works_outside_of_the_tree(wheel, tmp_path):
    _, installed = wheel
    program = (
        "import numpy as np, deepcore, deepcore.kernels, deepcore.benchmarks\n"
        "from deepcore import ops\n"
        "x, w = np.ones((1, 3, 3, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)\n"
        "print(ops.conv2d(x, w, padding='same').numpy().ravel().tolist())\n"
        "for module in (deepcore, deepcore.kernels, deepcore.benchmarks): print(module.__file__)"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    values, *files = done.stdout.splitlines()
    assert values == "[4.0, 6.0, 4.0, 6.0, 9.0, 6.0, 4.0, 6.0, 4.0]"
    assert [Path(file).is_relative_to(installed) for file in files] == [True, True, True]


def test_the_command_is_installed_with_it(wheel):
    _, installed = wheel
    (entry_points,) = installed.glob("deepcore-*.dist-info/entry_points.txt")
    assert "deepcore = deepcore.cli:main" in entry_points.read_text()

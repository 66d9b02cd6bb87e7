"""Building, keeping what was built, and what is said when that cannot be done."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from emulated import lend_what_all_builds_share
from emulator.marks import KERNELS

from deepcore.kernels.emulator import BuildError, CompilerNotFoundError, Module, builder, compiler, has_compiler

SOURCE = """
#include "factor.cuh"
extern "C" __global__ void scale(float* y) { y[threadIdx.x] *= FACTOR; }
"""


@pytest.fixture
def source(tmp_path):
    file = tmp_path / "scale.cu"
    file.write_text(SOURCE)
    (tmp_path / "factor.cuh").write_text("#define FACTOR 2\n")
    return file


@pytest.fixture
def runs(monkeypatch):
    """The compilations that happen."""
    happened = []
    run = builder.Compiler.run
    monkeypatch.setattr(builder.Compiler, "run", lambda self, words: (happened.append(words), run(self, words))[1])
    return happened


def scaled(file, **options):
    y = np.ones(4, np.float32)
    Module(file, **options).launch("scale", 1, 4, [y])
    return y.tolist()


def test_second_build_is_kept(source, runs):
    assert scaled(source) == [2] * 4
    assert runs
    del runs[:]
    assert scaled(source) == [2] * 4
    assert not runs


def test_those_who_want_the_same_build_wait_for_the_first(source, runs):
    with ThreadPoolExecutor(4) as pool:
        built = list(pool.map(lambda _: builder.build(source, {}, [], check=False), range(4)))
    assert sum(not each.cached for each in built) == 1
    assert len({each.library for each in built}) == 1
    assert len([words for words in runs if "-shared" in words]) == 1


def test_a_failed_build_is_tried_again(source):
    right = source.read_text()
    source.write_text("nonsense")
    for _ in range(2):
        with pytest.raises(BuildError, match="nonsense"):
            Module(source)
    source.write_text(right)
    assert scaled(source) == [2] * 4


def test_headers_that_this_compiler_cannot_use_are_read_as_text(monkeypatch, source, tmp_path):
    scaled(source)
    lend_what_all_builds_share(tmp_path / "kernels")
    monkeypatch.setenv("DEEPCORE_HOME", str(tmp_path))
    compiled = list((tmp_path / "kernels").glob("headers-*.gch"))
    assert compiled
    for file in compiled:
        file.write_bytes(b"of another compiler")
    assert scaled(source, defines={"OTHER": 2}) == [2] * 4


def test_edit_of_an_included_file_builds_again(source, runs):
    scaled(source)
    del runs[:]
    (source.parent / "factor.cuh").write_text("#define FACTOR 3\n")
    assert scaled(source) == [3] * 4
    assert len(runs) == 2  # compile, link


def test_macros_and_modes_are_builds_of_their_own(source, runs):
    source.write_text(SOURCE.replace("FACTOR", "FACTOR * MORE"))
    assert scaled(source, defines={"MORE": 2}) == [4] * 4
    assert scaled(source, defines={"MORE": 5}) == [10] * 4
    assert scaled(source, defines={"MORE": 5}, check=True) == [10] * 4
    assert len([words for words in runs if "-shared" in words]) == 3


def test_source_as_text_is_called_by_its_name():
    text = 'extern "C" __global__ void f(float* y) {\n  y[threadIdx.x] = 1;\n}\n'
    report = Module(text, check=True, name="mine.cu").launch("f", 1, 2, [np.zeros(1, np.float32)], strict=False)
    (finding,) = report.findings
    assert (finding.kind, finding.file, finding.line, finding.thread) == ("out-of-bounds", "mine.cu", 2, (1, 0, 0))


def test_include_folders(source, tmp_path):
    text = source.read_text()
    source.unlink()
    assert Module(text, include=[tmp_path]).signatures.keys() == {"scale"}


def test_compiler_errors_name_file_and_line(tmp_path):
    file = tmp_path / "broken.cu"
    file.write_text('extern "C" __global__ void f(float* y) {\n  y[0] = nothing;\n}\n')
    with pytest.raises(BuildError, match=r"broken.cu:2:.*'nothing' was not declared|broken.cu:2.*nothing"):
        Module(file)


def test_missing_file():
    with pytest.raises(FileNotFoundError, match=r"There is no file nowhere.cu. Pass a path to a .cu file"):
        Module("nowhere.cu")


def test_missing_compiler(monkeypatch, source):
    monkeypatch.setenv("CXX", "no-such-compiler")
    says = "CXX says 'no-such-compiler', which was not found. Install g"
    with pytest.raises(CompilerNotFoundError, match=says):
        Module(source)
    with pytest.raises(CompilerNotFoundError, match=says):
        compiler()
    assert not has_compiler()


def test_not_a_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "echo")
    with pytest.raises(CompilerNotFoundError, match="needs GCC 10 or later: the environment variable CXX says 'echo'"):
        compiler()


def test_home_that_cannot_be_written_to(monkeypatch, tmp_path):
    home = tmp_path / "home"
    home.write_text("")
    monkeypatch.setenv("DEEPCORE_HOME", str(home))
    with pytest.warns(RuntimeWarning, match="home/kernels cannot be written to.*Set DEEPCORE_HOME"):
        folder = builder.cache_folder()
    (folder / "file").write_text("")
    assert home not in folder.parents
    assert builder.cache_folder() == folder, "and it warns once"


def test_portable_switch_and_software_halves(monkeypatch, rng):
    """What processors without hand-written assembly or hardware float16 run."""
    monkeypatch.setenv("CXX", "g++ -DEMULATOR_UCONTEXT -U__F16C__")
    module = Module(KERNELS.parents[1] / "fidelity" / "kernels" / "number.cu")
    x = rng.integers(0, 2**32, 5000, dtype=np.uint32).view(np.float32)
    y, ignored = np.zeros(x.size, np.float16), np.zeros(x.size, np.float16)
    module.launch("to_half", 1, 32, [x, np.zeros(x.size), y, ignored, x.size])
    with np.errstate(over="ignore", invalid="ignore"):
        np.testing.assert_array_equal(y, x.astype(np.float16))
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    back = np.zeros(halves.size, np.float32)
    module.launch("from_half", 1, 64, [halves, back, halves.size])
    np.testing.assert_array_equal(back, halves.astype(np.float32))
    module = Module(KERNELS / "values.cu")
    total = np.zeros(2, np.int32)
    numbers = rng.integers(0, 9, 1000).astype(np.int32)
    for schedule in ("fifo", "lifo", "random"):
        module.launch("sum_of_blocks", 2, 128, [numbers, total, 1000], schedule=schedule)
        assert total.sum() == numbers.sum()


def test_python_threads_launch_one_after_the_other(values):
    results = {}

    def work(number):
        module = Module(values.path, check=values.check)
        y = np.zeros(96, np.int32)
        for _ in range(5):
            module.launch("warp_scan", 1, 96, [np.full(96, number, np.int32), y])
        results[number] = y

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(6):
        np.testing.assert_array_equal(results[number], np.tile(np.arange(1, 33) * number, 3))


def test_nothing_is_left_in_the_folder(monkeypatch, source, tmp_path):
    scaled(source)
    home = tmp_path / "home" / "kernels"
    lend_what_all_builds_share(home)
    monkeypatch.setenv("DEEPCORE_HOME", str(home.parent))
    assert scaled(source, defines={"OTHER": 1}) == [2] * 4
    assert {file.suffix for file in home.iterdir()} == {".o", ".h", ".gch", ".so"}, "runtime, headers and kernel"

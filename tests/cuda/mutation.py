"""Which synchronisation could be forgotten without a test noticing?

Removes every barrier, fence, wait and arrival of ``kernels/cuda`` by itself, in a copy, and runs the launches of
``launches.py`` that cover its file in check mode (``test_findings.py``), and then that file's own tests. A mutant that
nothing kills is a missing test, or a barrier that nobody needs.

    python tests/cuda/mutation.py [--kernel FILE] [--jobs 2]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from launches import launcher, runs

from deepcore.kernels.emulator.builder import included

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SECONDS = 600  # of all tests of one mutant; a mutant that hangs is dead, too

# ptx.cuh only names these; it is held to the PTX definitions by tests/emulator.
WRAPPERS = "ptx.cuh"
SYNCHRONISATION = re.compile(
    r"\b(?:dc::)?(?:__syncthreads(?:_\w+)?|__syncwarp|__threadfence(?:_\w+)?|sync_threads|commit_copies|wait_copies"
    r"|(?:init|arrive|wait)_mbarrier|arrive_and_expect|fence_\w+|commit_wgmma|wait_wgmma)"
    r"\s*(?:<[^;<>]*>)?\s*\((?:[^()]|\([^()]*\))*\)\s*;"
)


@dataclass(frozen=True)
class Mutant:
    """One statement, removed."""

    file: str
    line: int
    start: int
    end: int
    statement: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}  {self.statement}"


@dataclass(frozen=True)
class Verdict:
    mutant: Mutant
    killer: str  # "" where it survived
    seconds: float


def mutants(kernel: str | None) -> list[Mutant]:
    """Every statement that synchronises, in one file or in all."""
    found = []
    for path in sorted([*launcher.FOLDER.glob("*.cu"), *launcher.FOLDER.glob("*.cuh")]):
        if path.name == WRAPPERS or kernel not in (None, path.name, path.stem):
            continue
        text = path.read_text(encoding="utf-8")
        # Places are those of the text, so that comments become blanks of the same length.
        blank = re.sub(r"//[^\n]*|/\*.*?\*/", lambda match: re.sub(r"[^\n]", " ", match[0]), text, flags=re.DOTALL)
        for match in SYNCHRONISATION.finditer(blank):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Mutant(path.name, line, match.start(), match.end(), text[match.start() : match.end()]))
    return found


def covering(file: str) -> list[str]:
    """The launches that are built from this file, float32 first."""
    built = users(file)
    found = [run for run in runs() if run.watched and any(launched.file in built for launched in run.launched)]
    return [str(run) for run in sorted(found, key=lambda run: run.dtype != "float32")]


def tests_of(file: str) -> list[Path]:
    """The files of tests of the kernels that are built from this file."""
    stems = {Path(name).stem for name in users(file)}
    return [path for path in sorted(HERE.glob("test_*.py")) if path.stem.removeprefix("test_") in stems]


def users(file: str) -> set[str]:
    """The ``.cu`` files that include this one, or are it."""
    return {
        source.name
        for source in launcher.FOLDER.glob("*.cu")
        if any(path.name == file for path in included(source, [launcher.FOLDER]))
    }


running: set[subprocess.Popen] = set()


def run_tests(folder: Path, arguments: list[str], seconds: float) -> str:
    """The first test that fails, "" if none does; in a process of its own."""
    environment = {**os.environ, "DEEPCORE_KERNELS": str(folder), "DEEPCORE_TEST_HOME": str(folder.parents[1] / "home")}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *arguments]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    running.add(process)
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        stop(process)
        return "no end: the tests ran out of time"
    finally:
        running.discard(process)
    if process.returncode == 0:
        return ""
    if process.returncode != 1:
        raise RuntimeError(f"pytest ended with {process.returncode}:\n{output[-2000:]}")
    failed = re.search(r"^(?:FAILED|ERROR) (.+)$", output, flags=re.MULTILINE)
    return failed[1] if failed else output[-200:]


def stop(process: subprocess.Popen) -> None:
    """Ends the tests that this process started, and their compilers."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def baseline(files: set[str], scratch: Path) -> str:
    """The first test that fails although nothing was removed."""
    folder = scratch / "baseline" / "cuda"
    shutil.copytree(launcher.FOLDER, folder)
    launches = dict.fromkeys(run for file in sorted(files) for run in covering(file))
    return run_tests(folder, [f"tests/cuda/test_findings.py::test_no_findings[{run}]" for run in launches], 4 * SECONDS)


def judge(mutant: Mutant, scratch: Path) -> Verdict:
    began = time.monotonic()
    place = scratch / f"{mutant.file}-{mutant.line}-{mutant.start}"
    folder = place / "cuda"
    shutil.copytree(launcher.FOLDER, folder)
    text = (folder / mutant.file).read_text(encoding="utf-8")
    # An empty statement: the place may be the whole body of an `if`.
    (folder / mutant.file).write_text(text[: mutant.start] + ";" + text[mutant.end :], encoding="utf-8")
    # Never empty: tests/cuda/test_mutation.py demands a launch for each mutant.
    stages = (
        [f"tests/cuda/test_findings.py::test_no_findings[{run}]" for run in covering(mutant.file)],
        [str(path.relative_to(ROOT)) for path in tests_of(mutant.file)],
    )
    killer = ""
    for arguments in filter(None, stages):
        killer = killer or run_tests(folder, arguments, SECONDS)
    shutil.rmtree(place)
    return Verdict(mutant, killer, time.monotonic() - began)


def report(verdicts: list[Verdict], total: int) -> bool:
    """Prints the score; whether every mutant was judged and none survived."""
    survivors = [verdict.mutant for verdict in verdicts if not verdict.killer]
    killed = len(verdicts) - len(survivors)
    share = f"{100 * killed / len(verdicts):.0f} %" if verdicts else "nothing"
    print(f"\n{killed} of {len(verdicts)} killed: {share}", end="")
    print(f"; {total - len(verdicts)} of {total} not judged" if len(verdicts) < total else "")
    for mutant in survivors:
        print(f"  SURVIVED  {mutant}")
    return not survivors and len(verdicts) == total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--kernel", metavar="FILE", help="only this file of kernels/cuda, such as matmul or row.cuh")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at a time (default: %(default)s)")
    chosen = parser.parse_args()
    todo = mutants(chosen.kernel)
    if not todo:
        print(f"No synchronisation in {chosen.kernel or 'any file'} of {launcher.FOLDER}.")
        return 2
    runs()  # before there are threads: it puts a recorder in the place of the emulator
    print(f"{len(todo)} statements to remove", flush=True)
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="deepcore-mutation-") as scratch:
        pool = ThreadPoolExecutor(chosen.jobs)
        try:
            whole = pool.submit(baseline, {mutant.file for mutant in todo}, Path(scratch))
            tasks = [pool.submit(judge, mutant, Path(scratch)) for mutant in todo]
            for task in as_completed(tasks):
                verdict = task.result()
                verdicts.append(verdict)
                result = "SURVIVED" if not verdict.killer else f"killed in {verdict.seconds:.0f} s by {verdict.killer}"
                print(f"[{len(verdicts)}/{len(todo)}] {verdict.mutant}  {result}", flush=True)
            if whole.result():
                print(f"Nothing is shown: tests fail although nothing is removed: {whole.result()}")
                return 2
        except KeyboardInterrupt:
            print("\ninterrupted; what was found until now:")
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                stop(process)
            pool.shutdown()
    return 0 if report(verdicts, len(todo)) else 1


if __name__ == "__main__":
    sys.exit(main())

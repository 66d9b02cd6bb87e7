"""``make gpu-check``: everything that only a machine with a GPU can tell, into one folder that is ready to commit.

Needs a checkout and Python's standard library; the steps run in processes of their own, each with a limit, so that none
of them can take the others with it. The steps, and what each leaves in the folder:

- the machine: driver, GPU, clocks, versions, commit (``steps.jsonl``);
- every kernel compiled;
- the fidelity suite, with what the GPU made of it (``golden.npz``);
- the device test matrix, and every call of the kernel tests;
- compute-sanitizer, where there is one;
- the first benchmark (``ops.jsonl``).

``RESULT.md`` sums up, ``log.txt`` holds what the steps printed. ``--rehearse`` tries the program on the emulator with
tiny sizes; no times are kept then. Status 0: all is right; 1: a step failed; 2: no GPU, or no Python to run on.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

TOTAL_SECONDS = 460.0
GRACE_SECONDS = 8.0  # after an interrupt, before a step is killed
LONGEST_LOG = 200_000  # characters of one step that are kept
NEEDED = ("numpy", "numba", "cupy", "pytest", "hypothesis", "typer", "rich", "threadpoolctl")

RIGHT, FAILED, SKIPPED, STOPPED = "right", "FAILED", "skipped", "out of time"


@dataclass(frozen=True)
class Step:
    """A command, and the seconds that it may take. ``why_not`` is why it cannot run here, if it cannot."""

    name: str
    seconds: float
    command: tuple[str, ...]
    why_not: str = ""


@dataclass
class Result:
    """What became of a step; ``line`` is the last line that it printed."""

    name: str
    status: str
    seconds: float | None
    line: str
    log: str = field(repr=False, default="")


@dataclass(frozen=True)
class Runner:
    """The Python that the steps run on, and its environment. They run in ``folder``, where nothing shadows deepcore."""

    python: str
    environment: dict[str, str]
    folder: Path


def find_gpu() -> str:
    """Why no GPU can be used here, as far as the driver knows; empty where there is one."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver answers on this machine (libcuda.so.1)"
    count = ctypes.c_int()
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code:
        return f"the NVIDIA driver answers, but offers no GPU (error {code}); see nvidia-smi"
    return "" if count.value else "the NVIDIA driver answers, but this machine has no GPU; see nvidia-smi"


def choose_python(root: Path, folder: Path) -> Runner:
    """A Python with CuPy and deepcore: ``.venv``, where it has them or can get them, else the machine's own.

    The machine's own Python gets a copy of deepcore in ``folder``; nothing of it is changed, and no network is needed.
    Raises ``RuntimeError`` with what is missing and how to get it.
    """
    environment = dict(os.environ)
    venv = root / ".venv" / "bin" / "python"
    if not venv.exists() and missing(sys.executable, environment, folder) != []:
        quiet([sys.executable, "-m", "venv", "--system-site-packages", str(root / ".venv")], 60)
    if venv.exists():
        if missing(str(venv), environment, folder, "deepcore.kernels") != []:
            extra = "cuda12" if quiet(["nvidia-smi"], 20).find("CUDA Version: 12") >= 0 else "cuda13"
            pip = [str(venv), "-m", "pip", "install", "--quiet", "--retries", "0", "--timeout", "10"]
            quiet([*pip, "--editable", f"{root}[test,{extra}]"], 240)
        if missing(str(venv), environment, folder, "deepcore.kernels") == []:
            return Runner(str(venv), environment, folder)
    lacking = missing(sys.executable, environment, folder)
    if not lacking:
        copy = folder / "installed"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
        said = quiet([*command, "--target", str(copy), str(root)], 120)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(copy), environment.get("PYTHONPATH"))))
        if missing(sys.executable, environment, folder, "deepcore.kernels") == []:
            return Runner(sys.executable, environment, folder)
        lacking = [f"a copy of deepcore ({said.strip().splitlines()[-1] if said.strip() else 'pip failed'})"]
    raise RuntimeError(
        f"No Python here can run deepcore on a GPU: .venv has not all it needs and cannot get it, and {sys.executable} "
        f"lacks {', '.join(lacking)}. With a network: make .venv/test.installed && .venv/bin/pip install "
        "'.[test,cuda13]' (or cuda12)."
    )


def missing(python: str, environment: dict[str, str], folder: Path, *more: str) -> list[str]:
    """The packages that ``python`` cannot find."""
    code = (
        "import importlib.util as u, sys\n"
        "def has(name):\n"
        "    try: return u.find_spec(name) is not None\n"
        "    except ImportError: return False\n"
        "print(*[name for name in sys.argv[1:] if not has(name)])"
    )
    try:
        command = [python, "-c", code, *NEEDED, *more]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ["Python itself"]
    return done.stdout.split() if done.returncode == 0 else ["Python itself"]


def quiet(command: list[str], seconds: float, folder: Path | None = None) -> str:
    """What a command printed, or that it failed; never raises."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, cwd=folder)
    except (OSError, subprocess.SubprocessError) as problem:
        return str(problem)
    return done.stdout + done.stderr


def describe(root: Path, rehearse: bool) -> dict[str, str]:
    """The machine, the software and the commit, as far as each can be told."""
    about = {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": quiet(["git", "rev-parse", "HEAD"], 20, root).strip(),
        "changed files": str(len(quiet(["git", "status", "--porcelain"], 20, root).splitlines())),
        "python": sys.version.split()[0],
    }
    if rehearse:
        return about | {"gpu": "none: a rehearsal on the emulator"}
    fields = ("name", "driver_version", "memory.total", "clocks.sm", "clocks.max.sm", "clocks.mem", "power.limit")
    said = quiet(["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"], 20).splitlines()
    values = said[0].split(", ") if said else []
    if len(values) == len(fields):
        about |= {"gpu" if name == "name" else name: value for name, value in zip(fields, values, strict=True)}
    release = re.search(r"release [^\n]*", quiet(["nvcc", "--version"], 20))
    return about | {"nvcc": release[0] if release else "none"}


def versions(runner: Runner) -> dict[str, str]:
    """Versions of the packages that do the work, in the Python that does it."""
    code = (
        "import json; from importlib import metadata as m\n"
        "names = ('numpy', 'numba', 'cupy-cuda12x', 'cupy-cuda13x', 'numba-cuda', 'nvidia-cuda-nvrtc')\n"
        "have = {d.name: d.version for d in m.distributions()}\n"
        "print(json.dumps({n: have[n] for n in names if n in have}))"
    )
    done = subprocess.run(
        [runner.python, "-c", code], capture_output=True, text=True, cwd=runner.folder, env=runner.environment
    )
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {}


def plan(root: Path, runner: Runner, output: Path, about: dict[str, str], rehearse: bool) -> list[Step]:
    """The steps, for a GPU, or as short as they can be on the emulator."""
    device = "emulator" if rehearse else "cuda"
    fidelity = (runner.python, str(root / "tests/fidelity/record.py"), "--device", device)
    replay = (runner.python, str(root / "tests/cuda/replay.py"), "--device", device)
    # A machine's own Python may warn of what is no fault of ours.
    pytest: tuple[str, ...] = (runner.python, "-m", "pytest", "-c", str(root / "setup.cfg"), "--rootdir", str(root))
    pytest += ("-W", "default", "-p", "no:cacheprovider", "--no-header")
    matrix = tuple(str(root / "tests" / part / "test_devices.py") for part in ("ops", "models"))
    bench = (runner.python, "-m", "deepcore", "bench", "ops")
    sanitizer = find_sanitizer()
    if rehearse:
        tiny = ("--every", "60")
        return [
            Step("compile the kernels", 200, (*replay, "--compile", *tiny)),
            Step("fidelity suite", 200, (*fidelity, "--every", "40", "--output", str(output / "golden.npz"))),
            Step("device tests", 200, (*pytest, matrix[0], "-k", "emulator and matmul and float32")),
            Step("kernel calls", 200, (*replay, *tiny)),
            Step("compute-sanitizer", 10, (), "it watches a GPU"),
            Step("benchmark", 200, (*bench, "--suite", "lenet", "--layer", "fc3", "--repeats", "1", "--seconds", "0")),
        ]
    watched = ("--op", "matmul", "--op", "conv2d_fprop", "--op", "max_pool2d_dgrad", "--every", "7", "--unpooled")
    absent = "" if sanitizer else "compute-sanitizer is neither on the path nor in a CUDA folder"
    tools = [
        Step(f"compute-sanitizer {tool}", 45, (sanitizer, "--tool", tool, "--error-exitcode", "9", *replay, *watched))
        for tool in ("memcheck", "racecheck")
    ]
    return [
        Step("compile the kernels", 110, (*replay, "--compile", "--workers", str(min(16, os.cpu_count() or 1)))),
        Step(
            "fidelity suite",
            60,
            (*fidelity, "--about", json.dumps(about), "--output", str(output / "golden.npz")),
        ),
        Step("device tests", 100, (*pytest, *matrix, "-k", "cuda")),
        Step("kernel calls", 60, replay),
        *([Step("compute-sanitizer", 0, (), absent)] if absent else tools),
        Step(
            "benchmark",
            90,
            (
                *(*bench, "--device", "cuda", "--seconds", "0.1", "--suite", "lenet", "--suite", "resnet50"),
                *("--json", str(output / "ops.jsonl")),
            ),
        ),
    ]


def find_sanitizer() -> str:
    """compute-sanitizer, on the path or in a CUDA folder; empty where there is none."""
    roots = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    folders = [Path(root) / part for root in roots if root for part in ("bin", "compute-sanitizer")]
    return (
        shutil.which("compute-sanitizer", path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, folders)])) or ""
    )


def execute(step: Step, runner: Runner, seconds: float) -> Result:
    """Runs a step for at most ``seconds``: then it is interrupted, so that it can keep what it has, and then killed."""
    if step.why_not:
        return Result(step.name, SKIPPED, None, step.why_not)
    begin = time.monotonic()
    with tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace") as out:
        try:
            process = subprocess.Popen(
                step.command,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=runner.folder,
                env=runner.environment,
                start_new_session=True,
            )
        except OSError as problem:
            return Result(step.name, FAILED, 0.0, str(problem), str(problem))
        late = False
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            late = True
        finally:  # Ctrl-C as well: nothing of a step outlives it
            end(process)
        taken = time.monotonic() - begin
        out.seek(0)
        log = out.read()
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    status = STOPPED if late else RIGHT if process.returncode == 0 else FAILED
    line = lines[-1] if lines else f"ended with status {process.returncode}, and printed nothing"
    return Result(step.name, status, taken, line[:200], log)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and all that it started, if it still runs: by an interrupt first."""
    for kind in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)


def write(output: Path, about: dict[str, str], results: list[Result], rehearse: bool) -> None:
    """RESULT.md, steps.jsonl and log.txt, as far as the check has come."""
    title = "REHEARSAL on the emulator: no GPU, no times" if rehearse else f"GPU check on {about.get('gpu', 'a GPU')}"
    records: list[dict[str, object]] = [{**about, "rehearsal": rehearse}]
    text = [f"# {title}", "", *(f"- {name}: {value}" for name, value in about.items()), "", *table(results, rehearse)]
    if not rehearse and (output / "golden.npz").exists():
        name = folder_name(about.get("gpu", "gpu"))
        text += ["", "To hold the emulator to what this GPU did from now on:", ""]
        text += [f"    mkdir -p tests/fidelity/golden && cp {output.name}/golden.npz tests/fidelity/golden/{name}.npz"]
    log = [f"{title}\n"]
    for result in results:
        taken = None if rehearse or result.seconds is None else round(result.seconds, 1)
        said = "" if rehearse and result.name == "benchmark" else result.log
        line = "" if rehearse and result.name == "benchmark" else result.line
        records.append({"step": result.name, "status": result.status, "seconds": taken, "said": line})
        log.append(f"==== {result.name}: {result.status}\n{said[-LONGEST_LOG:]}")
    (output / "RESULT.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    (output / "log.txt").write_text("\n".join(log), encoding="utf-8")
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    (output / "steps.jsonl").write_text(lines, encoding="utf-8")


def table(results: list[Result], rehearse: bool) -> list[str]:
    """The steps as a table in Markdown, which a terminal shows as well."""
    rows = [("step", "status", "seconds", "what it said last")]
    for result in results:
        hide = rehearse and result.name == "benchmark"
        taken = "" if rehearse or result.seconds is None else f"{result.seconds:.0f}"
        rows.append((result.name, result.status, taken, "" if hide else result.line.replace("|", "\\|")))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows]
    return [lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]]


def folder_name(text: str) -> str:
    """
    >>> folder_name("NVIDIA H100 PCIe (rev. 2)")
    'nvidia-h100-pcie-rev-2'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def check(root: Path, runner: Runner, output: Path, about: dict[str, str], rehearse: bool) -> int:
    """Runs every step, writing the results after each; the status of the program."""
    output.mkdir(parents=True, exist_ok=True)
    about = about | versions(runner)
    deadline = time.monotonic() + (1e9 if rehearse else TOTAL_SECONDS)
    results: list[Result] = []
    try:
        for step in plan(root, runner, output, about, rehearse):
            print(f"{step.name} …", flush=True)
            left = deadline - time.monotonic()
            if left < GRACE_SECONDS and not step.why_not:
                results.append(Result(step.name, STOPPED, None, "not begun: the steps before took all the time"))
            else:
                results.append(execute(step, runner, min(step.seconds, left - GRACE_SECONDS)))
            write(output, about, results, rehearse)
    except KeyboardInterrupt:
        results.append(Result("interrupted", STOPPED, None, "Ctrl-C: the steps before it are kept"))
        write(output, about, results, rehearse)
    print("\n".join(["", *table(results, rehearse), "", f"Results: {output}"]))
    if results[-1].name == "interrupted":
        return 130
    return 1 if any(result.status in (FAILED, STOPPED) for result in results) else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--rehearse", action="store_true", help="try the program on the emulator; keeps no times")
    parser.add_argument("--output", type=Path, help="the folder for the results: benchmarks/results/<time>-<gpu>")
    options = parser.parse_args(arguments)
    root = Path(__file__).resolve().parents[1]
    if not (root / "tests" / "fidelity").is_dir():
        print("gpu-check runs its tests, so it needs a checkout of deepcore, not an installed copy.", file=sys.stderr)
        return 2
    reason = "" if options.rehearse else find_gpu()
    if reason:
        print(f"gpu-check needs a GPU, but {reason}. To try the program: --rehearse.", file=sys.stderr)
        return 2
    about = describe(root, options.rehearse)
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    name = f"{stamp}-{'rehearsal' if options.rehearse else folder_name(about.get('gpu', 'gpu'))}"
    with tempfile.TemporaryDirectory() as scratch:
        if options.rehearse:
            runner = Runner(sys.executable, dict(os.environ), Path(scratch))
            output = options.output or Path(tempfile.mkdtemp(prefix="gpu-check-"))
        else:
            try:
                runner = choose_python(root, Path(scratch))
            except RuntimeError as problem:
                print(problem, file=sys.stderr)
                return 2
            output = options.output or root / "benchmarks" / "results" / name
        return check(root, runner, output.resolve(), about, options.rehearse)


if __name__ == "__main__":
    sys.exit(main())

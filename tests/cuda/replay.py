"""Makes every call of ``launches.py`` on a GPU, and holds its results against the NumPy backend in float64.

``python tests/cuda/replay.py --device cuda``; with ``--compile`` it only builds what they launch. Ends with status 1 if
anything fails. Without a GPU, ``--device emulator`` tries the program itself.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # instead of this folder, whose names are short
    sys.path.insert(1, str(Path(__file__).resolve().parent))

import launches

from deepcore.backend import FILES
from deepcore.backend.cuda import launcher
from deepcore.backend.dispatch import implementations
from deepcore.backend.updates import Before

# Relative to the norm of the result, where nothing in the call cancels: a wrong index or a missing term is far above.
TOLERANCE = {"float64": 1e-12, "float32": 1e-4}
OF_FEW_BITS = 3e-2

Array = Any


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cuda", "emulator"), default="cuda")
    parser.add_argument("--compile", action="store_true", help="only build what the launches need")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth")
    parser.add_argument("--op", action="append", help="only these operations")
    parser.add_argument("--unpooled", action="store_true", help="no memory pool, so that a sanitizer sees each array")
    parser.add_argument("--workers", type=int, default=1, help="processes that compile")
    options = parser.parse_args(arguments)
    if options.compile:
        return compile_all(options.device, options.every, options.workers)
    if options.unpooled and options.device == "cuda":
        import cupy

        cupy.cuda.set_allocator(None)
    runs = [run for run in launches.runs() if not options.op or run.case.op in options.op][:: options.every]
    return replay(runs, device_functions(options.device))


def compile_all(device: str, every: int, workers: int) -> int:
    capability = None
    if device == "cuda":
        import cupy

        capability = int(cupy.cuda.Device().compute_capability)
    tasks = [(file, defines, capability) for file, defines in launches.variants()][::every]
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            problems = [problem for problem in pool.map(build, tasks) if problem]
    else:
        problems = [problem for problem in map(build, tasks) if problem]
    print(*problems, sep="\n")
    print(f"{len(tasks) - len(problems)} builds of {len({task[0] for task in tasks})} files, {len(problems)} failed")
    return 1 if problems else 0


def build(task: tuple[str, tuple[tuple[str, object], ...], int | None]) -> str:
    """Builds one file with one set of macros, into the folder of builds; what went wrong, or nothing."""
    from deepcore.backend.cuda.cubin import cubin
    from deepcore.kernels.emulator import Module

    file, defines, capability = task
    try:
        if capability is None:
            Module(launcher.FOLDER / file, dict(defines))
        else:
            cubin(launcher.FOLDER / file, dict(defines), capability)
    except Exception as problem:
        return f"{file} {dict(defines)}: {problem}"
    return ""


class Functions:
    """The functions of a device, for arrays on the CPU; keeps what the last call got and gave."""

    def __init__(self, get: Callable[[str], Any], there: Callable[[Any], Array], back: Callable[[Any], Any]) -> None:
        self._get, self._there, self._back = get, there, back
        self.given: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
        self.results: list[np.ndarray] = []

    def __getitem__(self, op: str) -> Callable[..., None]:
        def call(*arguments: Any, **keywords: Any) -> None:
            self.given = arguments, keywords
            moved, named = mapped(self.given, self._there)
            result = self._get(op)(*moved, **named)
            self.results = [np.asarray(self._back(array)) for array in outputs(op, result, moved)]

        return call


def device_functions(device: str) -> Functions:
    if device == "emulator":
        return Functions(launches.functions().__getitem__, lambda array: array.copy(), lambda array: array)
    from deepcore.backend.cuda.transfer import to_device, to_host
    from deepcore.device import as_device

    backend = as_device("cuda").backend
    return Functions(lambda op: getattr(backend, op), lambda array: to_device(array, 0), to_host)


def replay(runs: list[launches.Run], device: Functions) -> int:
    """Makes the calls; the status of the program."""
    wrong = 0
    for run in runs:
        try:
            with mock.patch.object(launches, "functions", return_value=device):
                run()
            problem = difference(run, device)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        wrong += bool(problem)
        print(f"{'WRONG' if problem else 'right'}  {run}{': ' if problem else ''}{problem}", flush=True)
    print(f"{len(runs) - wrong} calls right, {wrong} wrong")
    return 1 if wrong else 0


def difference(run: launches.Run, device: Functions) -> str:
    """How far the results are from those of the NumPy backend; empty where they are near enough."""
    exact, named = mapped(device.given, lambda array: array.astype(np.float64) if is_floating(array) else array.copy())
    try:
        with np.errstate(all="ignore"):
            expected = outputs(run.case.op, numpy_function(run.case.op)(*exact, **named), exact)
    except ValueError:
        return ""  # a call that the CPU refuses, such as ids beyond a table: that it ran within bounds is all there is
    if len(expected) != len(device.results):
        return f"{len(device.results)} arrays, {len(expected)} are expected"
    (record,) = (one for one in implementations(run.case.op, "cuda") if one.name == run.implementation)
    few_bits = getattr(record, "precision", None) or run.dtype not in TOLERANCE
    tolerance = OF_FEW_BITS if few_bits and run.dtype not in ("int32", "int64", "uint8") else None
    tolerance = tolerance or TOLERANCE.get(run.dtype, TOLERANCE["float32"])
    for position, (got, wanted) in enumerate(zip(device.results, expected, strict=True)):
        wanted = np.asarray(wanted)
        if got.shape != wanted.shape:
            return f"result {position} has shape {got.shape}, not {wanted.shape}"
        if wanted.dtype.kind in "iu":
            if not np.array_equal(got, wanted):
                return f"result {position}: {np.count_nonzero(got != wanted)} of {got.size} elements differ"
            continue
        found, exactly = got.astype(np.float64).reshape(-1), wanted.astype(np.float64).reshape(-1)
        if not np.array_equal(np.isnan(found), np.isnan(exactly)):
            return f"result {position} has NaN elsewhere"
        error, norm = np.linalg.norm(np.nan_to_num(found - exactly)), np.linalg.norm(np.nan_to_num(exactly))
        if not error <= tolerance * max(norm, 1e-30):
            return f"result {position} is off by {error / max(norm, 1e-30):.2g} of its norm, allowed are {tolerance:g}"
    return ""


def outputs(op: str, result: Any, arguments: Any) -> list[Any]:
    """The arrays that a call returned, and those that it updated."""
    updated = arguments if op.endswith("_update") else ()
    return list(arrays_in((result, updated)))


def arrays_in(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple | list):
        for item in value:
            yield from arrays_in(item)
    elif hasattr(value, "shape") and hasattr(value, "dtype"):
        yield value


def mapped(value: Any, function: Callable[[np.ndarray], Any]) -> Any:
    """The same tuples, lists, dictionaries and records with ``function`` of every array in them."""
    if type(value) in (tuple, list):
        return type(value)(mapped(item, function) for item in value)
    if isinstance(value, dict):
        return {key: mapped(item, function) for key, item in value.items()}
    if isinstance(value, Before):
        return replace(value, scale=mapped(value.scale, function))
    return function(value) if isinstance(value, np.ndarray) else value


def is_floating(array: np.ndarray) -> bool:
    """Whether it holds floating numbers, bfloat16 too, which NumPy takes for a kind of its own."""
    return array.dtype.kind not in "iub"


def numpy_function(op: str) -> Callable[..., Any]:
    for file in FILES:
        module = importlib.import_module(f"deepcore.backend.numpy.{file}")
        if op in module.__all__:
            return getattr(module, op)
    raise LookupError(op)


if __name__ == "__main__":
    sys.exit(main())

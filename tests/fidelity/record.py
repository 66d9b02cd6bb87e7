"""Runs the fidelity suite: ``python tests/fidelity/record.py --device cuda --output golden.npz``.

Each case is held against its formula; what the GPU made of it is stored. Ends with status 1 if a case is wrong.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[0] = str(TESTS)  # instead of this folder, whose names are short


def main(arguments: list[str] | None = None) -> int:
    from fidelity.place import Emulator, Gpu
    from fidelity.suite import CASES, judge, write_golden

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cuda", "emulator"), default="cuda")
    parser.add_argument("--output", type=Path, help="where to store the outputs; not stored otherwise")
    parser.add_argument("--about", type=json.loads, default={}, help="JSON to store beside them: driver, GPU, commit")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth case")
    options = parser.parse_args(arguments)
    place = Gpu() if options.device == "cuda" else Emulator()
    outcomes = []
    for case in CASES[:: options.every]:
        outcome = judge(case, place)
        outcomes.append(outcome)
        state = f"skipped, {outcome.skipped}" if outcome.skipped else "WRONG" if outcome.problems else "right"
        print(f"{state:8}{case.name}", *outcome.problems, sep="\n    ", flush=True)
    if options.output is not None:
        about = options.about | {"device": options.device, "python": platform.python_version()}
        write_golden(options.output, outcomes, about)
    wrong = sum(bool(outcome.problems) for outcome in outcomes)
    skipped = sum(bool(outcome.skipped) for outcome in outcomes)
    print(f"{len(outcomes) - wrong - skipped} cases right, {wrong} wrong, {skipped} skipped")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""All cases, and the files of what a GPU made of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fidelity import matrix, number, tensor_copy, warp, wgmma
from fidelity.case import Case, Expected, Near, differences, digest

CASES: tuple[Case, ...] = (*number.CASES, *warp.CASES, *matrix.CASES, *tensor_copy.CASES, *wgmma.CASES)
GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Outcome:
    """What became of one case: ``problems`` is empty where it was right, ``skipped`` says why it did not run."""

    case: Case
    problems: tuple[str, ...] = ()
    skipped: str = ""
    outputs: dict[str, np.ndarray] | None = None
    digest: str = ""


def judge(case: Case, place: Any) -> Outcome:
    """Runs a case and holds its outputs against the formula. A launch that fails is a problem, too."""
    if place.capability < case.needs:
        return Outcome(case, skipped=f"needs compute capability {case.needs / 10}")
    arguments = case.inputs()
    try:
        outputs = place.run(case, arguments)
    except Exception as problem:
        return Outcome(case, (f"{type(problem).__name__}: {problem}",))
    return Outcome(case, tuple(differences(outputs, case.expected(arguments))), "", outputs, digest(arguments))


def write_golden(path: Path, outcomes: list[Outcome], about: dict[str, Any]) -> None:
    """Stores the raw outputs, right or wrong, of what ran, and where."""
    ran = [outcome for outcome in outcomes if outcome.outputs is not None]
    notes = about | {"digests": {outcome.case.name: outcome.digest for outcome in ran}}
    arrays = {f"{o.case.name}/{name}": array for o in ran for name, array in (o.outputs or {}).items()}
    np.savez_compressed(path, about=np.array(json.dumps(notes)), **arrays)


def against_golden(path: Path, cases: tuple[Case, ...], place: Any) -> list[str]:
    """How the outputs of ``place`` differ from recorded ones, one sentence each.

    Outputs with an exact formula must be equal; others may be as far apart as two roundings within the bound.
    """
    found = []
    with np.load(path) as golden:
        digests = json.loads(str(golden["about"]))["digests"]
        for case in cases:
            if case.name not in digests:
                continue
            arguments = case.inputs()
            if digest(arguments) != digests[case.name]:
                found.append(f"{case.name}: was recorded with other inputs; run `make gpu-check` again")
                continue
            outputs, expected = place.run(case, arguments), case.expected(arguments)
            recorded = {name: golden[f"{case.name}/{name}"] for name in outputs}
            wanted: Expected = {
                name: Near(recorded[name].astype(np.float64), 2 * rule.bound)
                if isinstance(rule, Near)
                else recorded[name]
                for name, rule in expected.items()
            }
            found += [f"{case.name}: {problem}" for problem in differences(outputs, wanted)]
    return found

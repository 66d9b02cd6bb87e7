"""``deepcore info``: this machine, what is installed, and every implementation, available or not, and why."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer


def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Show the machine, versions, BLAS and threads, devices, and every implementation with its availability.

    [bold]Examples[/bold]

    deepcore info

    deepcore info --json | jq .devices
    """
    facts = collect()
    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        _print(facts)


def collect() -> dict[str, Any]:
    """Everything that ``deepcore info`` shows, as plain data."""
    from deepcore.backend.dispatch import implementations, operations
    from deepcore.backend.explain import load_records
    from deepcore.benchmarks import machine as here
    from deepcore.device import describe_devices

    load_records()
    machine = here.machine()
    records = []
    for op in operations():
        for record in implementations(op):
            available, reason = record.available()
            records.append(
                {
                    "op": op,
                    "implementation": record.name,
                    "device": record.device,
                    "available": available,
                    "reason": reason,
                }
            )
    return {
        "machine": {
            "cpu": machine.cpu,
            "cores": machine.cores,
            "vectors": list(machine.vectors),
            "memory_bytes": machine.memory,
            "last_level_cache_bytes": machine.last_level_cache,
            "load": machine.load,
            "system": machine.system,
            "python": machine.python,
        },
        "versions": machine.versions,
        "commit": machine.commit,
        "blas": [
            {
                "name": library.name,
                "version": library.version,
                "architecture": library.architecture,
                "threads": library.threads,
            }
            for library in here.blas()
        ],
        "loop_threads": here.loop_threads(),
        "environment": machine.settings,
        "warnings": machine.warnings,
        "devices": [
            {"device": name, "available": available, "reason": reason} for name, available, reason in describe_devices()
        ],
        "implementations": records,
    }


def _print(facts: dict[str, Any]) -> None:
    from rich.text import Text

    from deepcore.benchmarks.machine import threads_text
    from deepcore.benchmarks.table import Column, console, render

    out = console(sys.stdout)
    pair = (Column("", style="cyan"), Column("", flexible=True))
    machine = facts["machine"]
    render(
        out,
        pair,
        [
            ["processor", machine["cpu"]],
            ["usable cores", str(machine["cores"])],
            ["vectors", ", ".join(machine["vectors"]) or "none that is known"],
            ["largest cache", _size(machine["last_level_cache_bytes"])],
            ["memory", _size(machine["memory_bytes"])],
            ["load average", f"{machine['load']:.2f}"],
            ["system", machine["system"]],
            ["python", machine["python"]],
        ],
        "Machine",
    )
    versions = [[name, version] for name, version in facts["versions"].items()]
    render(out, pair, [*versions, ["source", facts["commit"]]], "Versions")
    libraries = [
        [library["name"], f"{library['version']}, {library['architecture']}, {threads_text(library['threads'])}"]
        for library in facts["blas"]
    ]
    render(out, pair, [*libraries, ["Numba loops", threads_text(facts["loop_threads"])]], "BLAS and threads")
    settings = [[name, value] for name, value in facts["environment"].items()]
    render(out, pair, settings or [["(none set)", ""]], "Environment")
    for warning in facts["warnings"]:
        out.print(Text(warning, style="yellow"))
    if facts["warnings"]:
        out.print()

    def mark(available: bool) -> Text:
        return Text("yes", style="green") if available else Text("no", style="red")

    render(
        out,
        (Column("device", style="cyan"), Column("available"), Column("why", flexible=True)),
        [[device["device"], mark(device["available"]), device["reason"]] for device in facts["devices"]],
        "Devices",
        "deepcore warmup --device NAME compiles ahead what a device needs.",
    )
    render(
        out,
        (
            Column("operation", style="cyan", repeats=False),
            Column("implementation"),
            Column("device", rank=1),
            Column("available"),
            Column("why", flexible=True),
        ),
        [
            [
                record["op"],
                record["implementation"],
                record["device"],
                mark(record["available"]),
                record["reason"],
            ]
            for record in facts["implementations"]
        ],
        "Implementations",
        "An implementation that is available still has to support a call: ask with deepcore explain.",
    )


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"

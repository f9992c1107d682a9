"""``tcoord workers``: list the workers, what they offer and what they are at."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from test_coordination.application.fleet import Presence
from test_coordination.interfaces.cli.exits import carried_out
from test_coordination.interfaces.cli.program import Program

MIB = 1024 * 1024


@click.command("workers")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(program: Program, output: str) -> None:
    """List the workers that have not left, what they offer and what they are at.

    A worker is `serving`, `draining` once it was told to end, or `silent`: then it is stopped,
    dead, or cut off from the database, and others carry its executions on. One that is `alone`
    runs only what it was asked for itself, as `tcoord run` does.
    """

    async def job() -> Sequence[Presence]:
        async with program.coordinator(None) as coordinator:
            found = await coordinator.workers()
            return [each for each in found if each.worker.id != coordinator.work.me]

    present = carried_out(job)
    if output == "json":
        click.echo(json.dumps([_plain(each) for each in present], indent=2))
        return
    if not present:
        click.echo("no worker is at work; start one with `tcoord worker`")
    for each in present:
        click.echo(_line(each))


def _line(present: Presence) -> str:
    worker, advert = present.worker, present.advert
    place = f"{worker.host.partition('/')[0]}:{worker.pid}"
    if advert.offers is None:
        return f"{worker.id}  {_state(present):<8}  {place}"
    at = f"{advert.executions}/{advert.executions_max}"
    memory = f"{advert.memory // MIB} MiB"
    modules = [f"python {each}" for each in _named(advert.offers, "python ")]
    named = (*_named(advert.offers, "topology "), *_named(advert.offers, "label "), *modules)
    said = ", ".join(named)
    begin = f"{worker.id}  {_state(present):<8}  {at:>7}  {memory:>8}"
    return f"{begin}  {place}  {advert.program}  {said}"


def _state(present: Presence) -> str:
    if present.silent:
        return "silent"
    if present.advert.offers is None:
        return "alone"
    return "draining" if present.advert.draining else "serving"


def _named(offers: frozenset[str], prefix: str) -> list[str]:
    return sorted(each.removeprefix(prefix) for each in offers if each.startswith(prefix))


def _plain(present: Presence) -> dict[str, object]:
    worker, advert = present.worker, present.advert
    return {
        "id": str(worker.id),
        "host": worker.host.partition("/")[0],
        "pid": worker.pid,
        "state": _state(present),
        "began_at": present.began_at.isoformat(),
        "program": advert.program,
        "offers": None if advert.offers is None else sorted(advert.offers),
        "executions": advert.executions,
        "executions_max": advert.executions_max,
        "memory_bytes": advert.memory,
        "memory_max_bytes": advert.memory_max,
    }

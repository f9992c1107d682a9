"""A secret goes to the adapters of a run and is found in nothing that is told of it."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from support.engine_echo import CANARY, EchoFault, Heard, echo, echoing, traces
from support.engine_lab import Lab, start, until
from support.engine_stores import WatchedLiveView
from support.virtual_time import virtual
from test_coordination.adapters.codec import encode
from test_coordination.adapters.rendering.render import FORMATS, render
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.engine.vault import HiddenError
from test_coordination.domain.events import FaultArmed, FaultReverted, FaultRevertFailed, Outcome
from test_coordination.domain.evidence import Sample
from test_coordination.domain.execution import Execution
from test_coordination.domain.secrets import placeholder
from test_coordination.domain.values import ExecutionId, StepId
from test_coordination.domain.verdicts import Finding, Verdict

STORY = """
scenario: echoes
version: 1
parameters: {token: {type: secret, default: "env:TOKEN"}}
probes: {p: {dial: {dial: p, key: "Bearer ${{ parameters.token }}"}, every: 1s}}
steps:
  - {id: look, probe: {dial: {dial: q, key: "${{ parameters.token }}"}}}
  - {id: act, action: note, with: {key: "${{ parameters.token }}"}}
  - id: fails
    action: note
    on_error: continue
    with: {key: "${{ parameters.token }}", end: fails}
  - id: breaks
    action: note
    on_error: ignore
    with: {key: "${{ parameters.token }}", end: breaks}
  - id: again
    action: note
    on_error: ignore
    retry: {attempts: 2}
    with: {key: "${{ parameters.token }}", end: fails}
  - {id: heard, expect: "probes.p.last.said == 'nothing'", severity: info}
  - {id: told, expect: "steps.act.result.plain == 'nothing'", severity: info}
  - {id: never, expect: "probes.p.last.said != 'nothing'", never: 1s, severity: info}
  - {id: taken, snapshot: [shop, bank]}
  - {id: off, fault: switch.off, target: shop, hold: 4s, with: {key: "${{ parameters.token }}"}}
  - id: slow
    fault: switch.slow
    target: bank
    hold: 4s
    on_error: ignore
    with: {key: "${{ parameters.token }}"}
"""
ROTATED = """
scenario: rotated
version: 1
parameters: {token: {type: secret, default: "env:TOKEN"}}
steps:
  - id: off
    background: true
    fault: switch.off
    target: shop
    hold: 9s
    with: {key: "${{ parameters.token }}"}
  - {id: w, wait: 5s}
  - {id: act, action: note, with: {key: "${{ parameters.token }}"}}
"""
MARK = placeholder("env:TOKEN")


def lab(heard: Heard) -> Lab:
    return Lab(kit=echoing(heard), variables={"TOKEN": CANARY})


@asynccontextmanager
async def ended(made: Lab) -> AsyncIterator[tuple[Coordinator, ExecutionId, Execution]]:
    async with made.coordinator() as coordinator:
        execution = await start(coordinator, STORY)
        yield coordinator, execution, await coordinator.execution_result(execution)


async def all_told(made: Lab, execution: ExecutionId) -> dict[str, bytes]:
    """Return all that the stores have of an execution, as it is kept."""
    told = {"record": encode(await made.log.get(execution))}
    for entry in await made.log.read(execution):
        told[f"{entry.position} {type(entry.event).__name__}"] = encode(entry.event)
    told["samples"] = encode(await made.evidence.samples(execution))
    for snapshot in (await made.state(execution)).snapshots.values():
        told["snapshot"] = encode(await made.evidence.snapshot(snapshot))
    told["live"] = repr(await made.live.state(execution)).encode()
    return told


def found(told: dict[str, bytes]) -> dict[str, list[str]]:
    return {where: trace for where, text in told.items() if (trace := traces(text))}


def test_the_canary_is_seen_where_it_is() -> None:
    for value in echo(CANARY).values():
        assert traces(str(value))
    assert not traces(f"{MARK} env:TOKEN")


@virtual
async def test_what_the_stores_have_of_a_run_tells_no_secret() -> None:
    heard = Heard()
    made = lab(heard)
    async with ended(made) as (_, execution, state):
        told = await all_told(made, execution)

    assert found(told) == {}
    assert not traces(repr(state))
    assert state.verdict is Verdict.COULD_NOT_RUN
    for doing in ("arm", "inject", "revert", "run"):
        assert heard.at(doing) == {CANARY}
    assert heard.at("open") == {CANARY, f"Bearer {CANARY}"}


@virtual
async def test_what_was_observed_is_judged_and_told_with_what_stands_for_the_secret() -> None:
    made = lab(Heard())
    async with ended(made) as (_, execution, state):
        samples = await made.evidence.samples(execution)

    by_check = {str(each.check): each for each in state.validations}
    assert by_check["heard"].observed == f"Bearer {MARK}"
    assert by_check["told"].observed == MARK
    assert by_check["never"].finding is Finding.BROKEN
    assert f"observed Bearer {MARK}, expected == nothing" in by_check["never"].reason
    assert samples[0].fields["said"] == f"Bearer {MARK}"
    assert samples[2].error == f"a bug of ours: ValueError: Bearer {MARK}"
    assert MARK in state.steps["fails"].error  # type: ignore[index]  # ids are texts


@virtual
async def test_no_report_of_a_run_tells_a_secret() -> None:
    made = lab(Heard())
    async with ended(made) as (coordinator, execution, _):
        report = await coordinator.generate_test_report(execution)

    for form in FORMATS:
        text = render(report, form)
        assert not traces(text)
        assert "env:TOKEN" in text.decode()


@virtual
async def test_a_fault_is_undone_by_another_process_with_the_secret_that_it_had() -> None:
    heard = Heard()
    made = lab(heard)
    assert isinstance(made.kit.off, EchoFault)
    made.kit.off.failing = 1_000
    async with ended(made) as (_, execution, state):
        assert state.verdict is Verdict.RESIDUE
    made.kit.off.failing = 1
    heard.keys.clear()

    (swept,) = await made.sweeper(900).sweep(again=True)

    assert heard.at("revert") == {CANARY}
    assert [fault.step for fault in swept.undone] == ["off"]
    assert not traces(repr(swept))
    assert found(await all_told(made, execution)) == {}
    events = await made.logged(execution)
    assert isinstance(events[-1], FaultReverted)
    armed = next(event for event in events if isinstance(event, FaultArmed))
    assert "⟦secret in json-ascii env:TOKEN⟧" in armed.receipt


@virtual
async def test_a_fault_is_undone_with_the_secret_that_it_was_armed_with_and_no_newer_one() -> None:
    heard = Heard()
    made = lab(heard)
    async with made.coordinator() as coordinator:
        execution = await start(coordinator, ROTATED)
        await until(3)
        made.variables["TOKEN"] = "another secret"
        state = await coordinator.execution_result(execution)

    assert state.verdict is Verdict.INCONCLUSIVE
    assert heard.at("revert") == {CANARY}
    assert heard.at("run") == {"another secret"}


@virtual
async def test_a_fault_whose_secret_is_gone_is_left_on_record_with_the_reason() -> None:
    made = lab(Heard())
    assert isinstance(made.kit.off, EchoFault)
    made.kit.off.failing = 1_000
    async with ended(made) as (_, execution, _):
        pass
    made.variables.clear()

    (swept,) = await made.sweeper(900).sweep(again=True)

    assert [fault.step for fault in swept.left] == ["off"]
    last = (await made.logged(execution))[-1]
    assert isinstance(last, FaultRevertFailed)
    assert last.reason.startswith("the secret env:TOKEN is not to be had")
    assert found(await all_told(made, execution)) == {}


@virtual
async def test_a_fault_whose_receipt_could_not_be_restored_is_not_injected() -> None:
    heard = Heard()
    made = lab(heard)
    assert isinstance(made.kit.off, EchoFault)
    made.kit.off.odd = True
    async with ended(made) as (_, execution, state):
        told = await all_told(made, execution)

    assert state.steps[StepId("off")].code == "secret.unsealable"
    assert heard.at("inject") == set()
    assert found(told) == {}


@virtual
async def test_without_its_secret_a_step_fails_and_a_probe_sees_nothing() -> None:
    heard = Heard()
    made = lab(heard)
    made.variables.clear()
    async with ended(made) as (_, execution, state):
        samples = await made.evidence.samples(execution)

    assert heard.keys == []
    why = "the secret env:TOKEN is not to be had"
    assert all(sample.error.startswith(why) for sample in samples)
    assert state.reason.startswith(f"step 'look' failed: {why}")


@virtual
async def test_a_parameter_with_a_secret_in_it_is_looked_at_only_when_it_is_used() -> None:
    made = Lab(variables={"TOKEN": CANARY})
    text = STORY.partition("probes:")[0] + (
        'steps: [{id: act, action: note, with: {bad: "<${{ parameters.token }}>"}}]'
    )

    ended = await made.run(text)

    assert ended.verdict is Verdict.INCONCLUSIVE
    assert ended.steps[StepId("act")].outcome is Outcome.DONE


class TellingLiveView(WatchedLiveView):
    """A live view that breaks on samples, and tells why."""

    def publish_samples(self, execution: ExecutionId, samples: Sequence[Sample]) -> None:
        del execution, samples
        message = f"{echo(CANARY)} is too much"
        raise ValueError(message) from OSError(CANARY)


@virtual
async def test_what_a_run_raises_tells_no_secret_however_it_is_printed() -> None:
    made = lab(Heard())
    made.live = TellingLiveView()
    async with made.coordinator() as coordinator:
        execution = await start(coordinator, STORY)
        with pytest.raises(HiddenError, match="ValueError") as caught:
            await coordinator.execution_result(execution)

    assert not traces("".join(traceback.format_exception(caught.value)))
    assert not traces(repr(caught.value))
    assert MARK in str(caught.value)

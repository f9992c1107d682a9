"""Probes are looked at in time, and what they saw is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import anyio
import pytest

from support.engine_fakes import shows
from support.engine_lab import PROBE, Lab, document, start, topology, until
from support.engine_lease import firmly
from support.engine_stores import gone
from support.virtual_time import at, since, virtual
from test_coordination.application.capabilities import ProbeFailedError, TargetGoneError
from test_coordination.application.engine.sampler import SampleWriter, sample
from test_coordination.domain.events import Entry, Noted
from test_coordination.domain.evidence import Sample
from test_coordination.domain.plan import PlannedProbe
from test_coordination.domain.values import ExecutionId, ProbeName
from test_coordination.domain.verdicts import Verdict

EXECUTION = ExecutionId(Lab().identities.new())


async def seen(lab: Lab, *, for_s: float, timeout_s: float = 2) -> list[tuple[float, str]]:
    """Return when a probe that looks each second looked, and why it saw nothing."""
    taken: list[Sample] = []
    probe = PlannedProbe(
        name=ProbeName("p"),
        kind="dial",
        parameters={"dial": "p"},
        every=timedelta(seconds=1),
        timeout=timedelta(seconds=timeout_s),
    )
    with anyio.move_on_after(for_s):
        await sample(probe, lab.world().probing(topology()), taken.append)
    return [(since(each.at), each.error) for each in taken]


@virtual
async def test_looks_are_spaced_from_the_first_one_on() -> None:
    lab = Lab()
    lab.kit.dial.slow_s["p"] = 0.3

    assert await seen(lab, for_s=3.5) == [(0, ""), (1, ""), (2, ""), (3, "")]


@virtual
async def test_a_look_that_takes_long_costs_the_looks_that_would_have_begun_meanwhile() -> None:
    lab = Lab()
    lab.kit.dial.slow_s["p"] = 1.5

    assert await seen(lab, for_s=6) == [(0, ""), (2, ""), (4, "")]


@virtual
async def test_a_look_without_an_answer_in_time_is_missing() -> None:
    lab = Lab()
    lab.kit.dial.slow_s["p"] = 100

    assert await seen(lab, for_s=4.5) == [(0, "no answer within 2 s"), (2, "no answer within 2 s")]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ProbeFailedError(cause="no route"), "no route"),
        (ProbeFailedError(cause=""), "probe.failed"),
        (
            TargetGoneError(service="shop", detail="pid 7"),
            "service 'shop' is not running: pid 7; start it first",
        ),
        (KeyError("pid"), "a bug of ours: KeyError: 'pid'"),
    ],
)
def test_whatever_a_look_meets_is_a_missing_sample_and_looking_goes_on(
    error: Exception, said: str
) -> None:
    @virtual
    async def story() -> None:
        lab = Lab()
        lab.kit.dial.scripts["p"] = [(0, error), (1, shows(1))]

        assert await seen(lab, for_s=1.5) == [(0, said), (1, "")]

    story()


@virtual
async def test_a_probe_that_cannot_be_opened_is_missing_and_opened_again() -> None:
    lab = Lab()
    lab.kit.dial.opening.extend([ProbeFailedError(cause="refused"), OSError("no file")])

    assert await seen(lab, for_s=2.5) == [
        (0, "refused"),
        (1, "a bug of ours: OSError: no file"),
        (2, ""),
    ]
    assert lab.kit.dial.opened == 3


@virtual
async def test_a_probe_that_breaks_does_not_end_the_execution() -> None:
    lab = Lab()
    lab.kit.dial.opening.extend([KeyError("x")] * 3)

    ended = await lab.run(
        document(PROBE + "steps: [{id: c, expect: probes.p.last.ok, within: 9s}]")
    )

    assert ended.verdict is Verdict.HELD


def look(number: int) -> Sample:
    return Sample(probe=ProbeName("p"), at=at(number), took=timedelta(0))


def writer(lab: Lab) -> SampleWriter:
    return SampleWriter(hold=firmly(EXECUTION), evidence=lab.evidence, live=lab.live)


@virtual
async def test_samples_wait_for_a_store_that_is_away_and_are_shown_at_once_and_once() -> None:
    lab = Lab()
    lab.evidence.away, kept = True, writer(lab)
    for number in range(3):
        kept.add(look(number))
        await kept.flush()
    shown, unsaved = lab.live.samples, kept.lost
    lab.evidence.away = False
    await kept.flush()
    await kept.flush()

    assert (shown, unsaved) == (3, 3)
    assert (lab.live.samples, kept.lost) == (3, 0)
    assert await lab.evidence.samples(EXECUTION) == [look(n) for n in range(3)]


@virtual
async def test_a_store_that_hangs_holds_nobody_up_for_ever_and_loses_nothing() -> None:
    lab = Lab()
    lab.evidence.hangs, kept = True, writer(lab)
    kept.add(look(0))
    await kept.flush()
    waited = anyio.current_time()
    with anyio.move_on_after(1):
        await kept.flush()
    kept.add(look(1))
    lab.evidence.hangs = False
    await kept.flush()

    assert waited == 10.0
    assert await lab.evidence.samples(EXECUTION) == [look(0), look(1)]


@virtual
async def test_what_does_not_fit_into_memory_is_dropped_oldest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("test_coordination.application.engine.sampler.UNSAVED_MAX", 5)
    lab = Lab()
    lab.evidence.away, kept = True, writer(lab)
    for number in range(8):
        kept.add(look(number))
        await kept.flush()
    lab.evidence.away = False
    lost = kept.lost
    await kept.flush()

    assert (lost, kept.lost) == (8, 3)
    assert await lab.evidence.samples(EXECUTION) == [look(n) for n in range(3, 8)]


@virtual
async def test_what_comes_while_older_samples_are_being_stored_is_newer_than_they(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("test_coordination.application.engine.sampler.UNSAVED_MAX", 2)
    lab = Lab()
    lab.evidence.hangs, kept = True, writer(lab)
    kept.add(look(0))
    kept.add(look(1))
    async with anyio.create_task_group() as group:
        group.start_soon(kept.flush)
        await anyio.sleep(1)
        kept.add(look(2))
    lab.evidence.hangs = False
    await kept.flush()

    assert await lab.evidence.samples(EXECUTION) == [look(1), look(2)]


@virtual
async def test_samples_that_are_lost_are_noted_in_the_log_and_the_execution_ends() -> None:
    lab = Lab()
    lab.evidence.hangs = True

    await lab.run(document(PROBE + "steps: [{wait: 3500ms}]"))

    (note,) = [e for e in await lab.logged(await lab.newest()) if isinstance(e, Noted)]
    assert note.text == "4 samples are lost: they could not be stored in time"
    assert anyio.current_time() < 20


@virtual
async def test_a_loss_that_cannot_be_noted_does_not_undo_the_end() -> None:
    lab = Lab()
    lab.evidence.hangs = True

    async def leave(entries: Sequence[Entry]) -> None:
        if isinstance(entries[0].event, Noted):
            raise gone()

    lab.log.before = leave

    ended = await lab.run(document(PROBE + "steps: [{wait: 3500ms}]"))

    assert ended.verdict is Verdict.INCONCLUSIVE


@virtual
async def test_samples_are_kept_while_the_execution_runs() -> None:
    lab = Lab()
    async with lab.coordinator() as coordinator:
        execution = await start(coordinator, document(PROBE + "steps: [{wait: 60s}]"))
        await until(4.75)
        kept = await lab.evidence.samples(execution)

    assert [since(each.at) for each in kept] == [0, 1, 2, 3, 4]

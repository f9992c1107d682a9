"""Plans and logs as the release before wrote them: they are read, swept and carried out."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.engine_fakes import OneMachine
from support.engine_lease import firm
from support.engine_plans import Bed, outcomes, record_of
from support.virtual_time import at, virtual
from test_coordination.adapters.codec import decode_event, decode_plan
from test_coordination.adapters.memory.dispatch import MemoryDispatch, MemoryJobs
from test_coordination.adapters.memory.workers import MemoryWorkers
from test_coordination.adapters.secrets import KeptSecrets
from test_coordination.application.engine.sweep import Sweeper
from test_coordination.domain.events import Entry, Outcome
from test_coordination.domain.execution import Execution
from test_coordination.domain.verdicts import Verdict

MARK = '"mark":{"file":"old.yaml","line":3,"column":5}'
WELL = (
    f'{{"id":"well","expression":"probes.p.last.ok",{MARK},"within":"PT10S","hold":"P0D",'
    '"severity":"normal","after_fault":null,"recent":true,"title":""}'
)
BACK = (
    f'{{"id":"back","expression":"1 < 2",{MARK},"within":null,"hold":"P0D",'
    '"severity":"normal","after_fault":"cut","recent":false,"title":""}'
)


def step(head: str, **work: str) -> str:
    """Return a planned step as it was written, with all kinds of work that there were."""
    kinds = ("fault", "action", "wait", "snapshot", "expect")
    works = ",".join(f'"{kind}":{work.get(kind, "null")}' for kind in kinds)
    return f'{{{head},"title":"","timeout":"PT300S",{works}}}'


STEPS = (
    step('"id":"before.well","stage":"before","needs":[]', expect=WELL),
    step(
        '"id":"cut","stage":"main","needs":["before.well"]',
        fault='{"fault":"switch.off","service":"shop","hold":"PT5S","parameters":{}}',
    ),
    step(
        '"id":"do","stage":"main","needs":["cut"]',
        action='{"action":"note","parameters":{"name":"do"}}',
    ),
    step('"id":"rest","stage":"main","needs":["do"]', wait='{"duration":"PT2S"}'),
    step('"id":"back","stage":"main","needs":["rest","cut"]', expect=BACK),
)
PLAN = (
    '{"scenario":"old","topology":"lab","parameters":{},"probes":[{"name":"p","kind":"dial",'
    '"parameters":{"dial":"p"},"every":"PT1S","timeout":"PT1S"}],'
    f'"watched":[{WELL}],"steps":[{",".join(STEPS)}],"timeout":"PT600S","digest":"d"}}'
).encode()
JUDGED = (
    '{"validation":{"check":"well","phase":"before","finding":"held","expression":"x",'
    '"severity":"normal","step":"before.well","after_fault":null,"observed":null,'
    '"relation":"","limit":null,"margin":null,"took":null,"began_at":null,"ended_at":null,'
    '"reason":""}}'
)
LOG = [
    ("ExecutionStarted", '{"worker":"00000000-0000-0000-0000-000000000001"}'),
    ("StepStarted", '{"step":"before.well"}'),
    (
        "CheckJudged",
        JUDGED,
    ),
    (
        "StepEnded",
        '{"step":"before.well","outcome":"done","error":"","code":"","facts":{}}',
    ),
    ("StepStarted", '{"step":"cut"}'),
    (
        "FaultArmed",
        '{"step":"cut","fault":"switch.off","service":"shop","receipt":"shop"}',
    ),
    ("FaultInjected", '{"step":"cut","evidence":{"off":"shop"}}'),
]


@virtual
async def test_an_older_plan_is_carried_out_as_it_was_meant() -> None:
    bed = Bed()

    ended = await bed.run(decode_plan(PLAN))

    assert outcomes(ended) == dict.fromkeys(
        ["before.well", "cut", "do", "rest", "back"], Outcome.DONE
    )
    assert bed.kit.board.times("revert") == [5.0]
    assert bed.kit.board.times("begin") == [5.0]
    assert ended.verdict is Verdict.HELD


@pytest.mark.parametrize("length", range(1, len(LOG) + 1))
def test_an_older_log_is_folded_and_swept_wherever_it_ends(length: int) -> None:
    @virtual
    async def story() -> None:
        bed = Bed()
        record = record_of(decode_plan(PLAN), 40)
        await bed.log.create(record)
        state = Execution(id=record.id)
        for place, (kind, body) in enumerate(LOG[:length], start=1):
            event = decode_event(kind, body.encode())
            entry = Entry(position=place, at=at(0), event=event)
            state = state.apply(entry)
            await bed.log.append([entry], leading_to=state, epoch=1)
        bed.kit.board.in_force = [fault.service for fault in state.outstanding]
        workers = MemoryWorkers(bed.clock, bed.log)
        sweeper = Sweeper(
            stores=bed.stores(),
            workers=workers,
            machine=OneMachine(),
            faults=bed.kit.catalogue().faults,
            secrets=KeptSecrets({}, directory=Path("/nowhere")),
            lease=firm(workers, record.worker),
            present=MemoryDispatch(workers, MemoryJobs(bed.clock)).present,
        )

        await sweeper.sweep()

        ended = Execution.of(record.id, await bed.log.read(record.id))
        assert bed.kit.board.in_force == []
        assert (ended.verdict, ended.outstanding) == (Verdict.COULD_NOT_RUN, ())

    story()

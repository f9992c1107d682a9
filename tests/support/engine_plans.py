"""Plans that a test builds by hand, and a runner that carries them out on virtual time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio

from support.engine_fakes import Kit, NumberedIdentities
from support.engine_lease import firmly
from support.engine_stores import ShakyEvidence, ShakyLog, WatchedLiveView
from support.stores_story import new_record, new_scenario
from support.virtual_time import LoopClock, since
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.adapters.secrets import KeptSecrets
from test_coordination.application.engine.capture import Camera
from test_coordination.application.engine.checks import Bench
from test_coordination.application.engine.children import Children
from test_coordination.application.engine.hands import Hands
from test_coordination.application.engine.observations import Observations
from test_coordination.application.engine.recorder import Recorder, Stores
from test_coordination.application.engine.runner import Runner
from test_coordination.application.engine.sampler import Probing
from test_coordination.application.engine.vault import Vault
from test_coordination.application.ports import ExecutionRecord
from test_coordination.domain.errors import CoordinationError, Mark
from test_coordination.domain.events import AbortRequested, Event, ExecutionStarted, Outcome
from test_coordination.domain.execution import Execution
from test_coordination.domain.expressions import Kind
from test_coordination.domain.names import ProbeShape, word
from test_coordination.domain.plan import (
    ActionWork,
    FaultWork,
    GateWork,
    Plan,
    PlannedCheck,
    PlannedCondition,
    PlannedProbe,
    PlannedRetry,
    PlannedStep,
    ProbeWork,
    ScenarioWork,
    Stage,
    StopRule,
    StopWork,
    WaitWork,
)
from test_coordination.domain.topology import Service, Topology
from test_coordination.domain.values import (
    CheckId,
    ExecutionId,
    ProbeName,
    ServiceName,
    StepId,
    WorkerId,
)
from test_coordination.domain.verdicts import Verdict

EXPRESSIONS = CelExpressions()
MARK = Mark("plan.yaml", 1, 1)
HOUR = timedelta(hours=1)
GOOD = "probes.p.last.ok"
"""True while the dial of the probe ``p`` shows 1; it is looked at once a second."""

PROBE = PlannedProbe(
    name=ProbeName("p"),
    kind="dial",
    parameters={"dial": "p"},
    every=timedelta(seconds=1),
    timeout=timedelta(seconds=2),
)
TOPOLOGY = Topology(
    name="lab",
    file="lab.yaml",
    directory="/nowhere",
    services={
        ServiceName(name): Service(name=ServiceName(name), mark=MARK, command=("true",))
        for name in ("shop", "bank")
    },
)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def when(expression: str) -> PlannedCondition:
    return PlannedCondition(expression=expression, mark=MARK)


def step(name: str, *needs: str, **more: Any) -> PlannedStep:
    """Return a planned step that waits for ``needs``; ``more`` are its fields."""
    more.setdefault("timeout", HOUR)
    beside = frozenset(map(StepId, more.pop("beside", ())))
    return PlannedStep(id=StepId(name), needs=frozenset(map(StepId, needs)), beside=beside, **more)


def fault(
    name: str,
    *needs: str,
    hold_s: float | None = 5,
    service: str = "shop",
    kind: str = "switch.off",
    **more: Any,
) -> PlannedStep:
    """Return a fault; without ``hold_s`` it runs in the background until it is stopped."""
    work = FaultWork(
        fault=kind,
        service=ServiceName(service),
        hold=None if hold_s is None else seconds(hold_s),
    )
    more.setdefault("background", hold_s is None)
    return step(name, *needs, fault=work, **more)


def act(
    name: str,
    *needs: str,
    takes_s: float = 0,
    fails: bool = False,
    every_s: float | None = None,
    times: int | None = 1,
    kind: str = "note",
    **more: Any,
) -> PlannedStep:
    parameters = {"name": name, "seconds": takes_s, "fails": fails}
    every = None if every_s is None else seconds(every_s)
    work = ActionWork(action=kind, parameters=parameters, every=every, times=times)
    return step(name, *needs, action=work, **more)


def wait(name: str, *needs: str, for_s: float = 1, **more: Any) -> PlannedStep:
    return step(name, *needs, wait=WaitWork(duration=seconds(for_s)), **more)


def gate(
    name: str, *needs: str, until: str = GOOD, within_s: float = 10, hold_s: float = 0, **more: Any
) -> PlannedStep:
    otherwise = {"otherwise": more.pop("otherwise")} if "otherwise" in more else {}
    work = GateWork(
        condition=when(until), within=seconds(within_s), hold=seconds(hold_s), **otherwise
    )
    return step(name, *needs, gate=work, **more)


def stop(name: str, *needs: str, of: Sequence[str], **more: Any) -> PlannedStep:
    return step(name, *needs, stop=StopWork(steps=tuple(map(StepId, of))), **more)


def expect(name: str, *needs: str, that: str = "1 < 2", **more: Any) -> PlannedStep:
    """Return a check; ``checked`` are its own fields, the others those of the step."""
    checked = more.pop("checked", {})
    check = PlannedCheck(id=CheckId(name.rpartition(".")[2]), expression=that, mark=MARK, **checked)
    return step(name, *needs, expect=check, **more)


def look(name: str, *needs: str, dial: str = "p", **more: Any) -> PlannedStep:
    return step(name, *needs, probe=ProbeWork(kind="dial", parameters={"dial": dial}), **more)


def child(
    name: str, *needs: str, verdicts: tuple[Verdict, ...] = (Verdict.HELD,), **more: Any
) -> PlannedStep:
    """Return a step that runs the scenario ``inner``."""
    work = ScenarioWork(scenario="inner", parameters={}, plan=plan(), verdicts=verdicts)
    return step(name, *needs, scenario=work, **more)


def retry(attempts: int, *, delay_s: float = 0, backoff: float = 1) -> PlannedRetry:
    return PlannedRetry(attempts=attempts, delay=seconds(delay_s), backoff=backoff)


def rule(until: str, *, hold_s: float = 0, title: str = "") -> StopRule:
    return StopRule(id=CheckId("enough"), condition=when(until), hold=seconds(hold_s), title=title)


def plan(*steps: PlannedStep, **more: Any) -> Plan:
    """Return a plan of ``steps`` with one probe, ``p``; ``more`` are its other fields."""
    return Plan(
        **{
            "scenario": "story",
            "topology": "lab",
            "parameters": {},
            "probes": (PROBE,),
            "watched": (),
            "timeout": HOUR,
            **more,
        },
        steps=steps,
    )


def after(planned: PlannedStep) -> PlannedStep:
    return replace(planned, stage=Stage.AFTER)


def before(planned: PlannedStep) -> PlannedStep:
    return replace(planned, stage=Stage.BEFORE)


def remedy(planned: PlannedStep) -> PlannedStep:
    return replace(planned, stage=Stage.FAILURE)


@dataclass(slots=True)
class FakeChildren:
    """`Children` that take so long, end as they are told to, and need a while to be undone."""

    takes_s: float = 10
    undo_s: float = 0
    verdicts: list[Verdict] = field(default_factory=list)
    refusal: CoordinationError | None = None
    lost: CoordinationError | None = None
    left: ExecutionId | None = None
    find_s: float = 0
    begun: list[tuple[float, ExecutionId]] = field(default_factory=list)
    aborted: list[tuple[float, str]] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    _stop: anyio.Event = field(default_factory=anyio.Event)
    _names: NumberedIdentities = field(default_factory=lambda: NumberedIdentities(500))

    async def start(self, work: ScenarioWork, *, step: StepId) -> ExecutionId:
        del work, step
        if self.refusal is not None:
            raise self.refusal
        self._stop = anyio.Event()
        execution = ExecutionId(self._names.new())
        self.begun.append((anyio.current_time(), execution))
        return execution

    async def find(self, step: StepId, *, since: datetime) -> ExecutionId | None:
        del step, since
        await anyio.sleep(self.find_s)
        return self.left

    async def result(self, execution: ExecutionId) -> Execution:
        with anyio.move_on_after(self.takes_s):
            await self._stop.wait()
        if self.lost is not None:
            raise self.lost
        verdict = self.verdicts.pop(0) if self.verdicts else Verdict.HELD
        if self._stop.is_set():
            verdict = verdict if verdict is Verdict.RESIDUE else Verdict.STOPPED
            await anyio.sleep(self.undo_s)
        self.ended.append(anyio.current_time())
        return Execution(id=execution, verdict=verdict, reason="so it is")

    async def abort(self, execution: ExecutionId, *, reason: str) -> None:
        del execution
        self.aborted.append((anyio.current_time(), reason))
        self._stop.set()


@dataclass(slots=True, kw_only=True)
class Bed:
    """All that a runner stands on."""

    kit: Kit = field(default_factory=Kit.new)
    log: ShakyLog = field(default_factory=ShakyLog)
    evidence: ShakyEvidence = field(default_factory=ShakyEvidence)
    live: WatchedLiveView = field(default_factory=WatchedLiveView)
    clock: LoopClock = field(default_factory=LoopClock)
    inner: FakeChildren = field(default_factory=FakeChildren)
    children: Children | None = None
    variables: dict[str, str] = field(default_factory=dict)
    """The environment, as far as secrets are kept there."""

    def stores(self) -> Stores:
        return Stores(log=self.log, live=self.live, clock=self.clock)

    async def run(self, planned: Plan) -> Execution:
        """Return how an execution of ``planned`` ended."""
        async with self.running(planned) as recorder:
            while recorder.state.verdict is None:
                await recorder.change(recorder.state, limit=None)
        return recorder.state

    @asynccontextmanager
    async def running(self, planned: Plan) -> AsyncGenerator[Recorder]:
        """Lend the pen of an execution of ``planned`` that is under way; it is waited for."""
        record = replace(new_record(new_scenario()), plan=planned)
        await self.log.create(record)
        vault = Vault(KeptSecrets(self.variables, directory=Path("/nowhere")))
        recorder = Recorder(self.stores(), record, Execution(id=record.id), vault=vault)
        await recorder.record(ExecutionStarted(worker=record.worker))
        runner = Runner(planned, self.hands(planned, recorder, vault), self.live)
        async with anyio.create_task_group() as group:
            group.start_soon(runner.run)
            yield recorder

    def hands(self, planned: Plan, recorder: Recorder, vault: Vault) -> Hands:
        catalogue = self.kit.catalogue()
        probing = Probing(catalogue=catalogue, topology=TOPOLOGY, clock=self.clock, vault=vault)
        dial = self.kit.dial
        observations = Observations(
            {},
            {PROBE.name: ProbeShape(fields=dial.fields, measured=dial.measured)},
            plan=planned,
            state=lambda: recorder.state,
            clock=self.clock,
        )
        recorder.tell(observations.refresh)
        return Hands(
            hold=firmly(recorder.state.id),
            plan=planned,
            children=self.children or self.inner,
            probing=probing,
            evidence=self.evidence,
            camera=Camera(probing=probing, identities=NumberedIdentities(900)),
            bench=Bench(
                expressions=EXPRESSIONS,
                names=_names(planned),
                observations=observations,
                clock=self.clock,
            ),
            recorder=recorder,
        )

    async def events(self, execution: ExecutionId) -> list[Event]:
        return [entry.event for entry in await self.log.read(execution)]


def _names(planned: Plan) -> dict[str, Kind]:
    names = {GOOD: Kind.BOOLEAN, "probes.p.last.value": Kind.NUMBER}
    names |= {"execution.elapsed": Kind.DURATION}
    for each in planned.steps:
        names[f"steps.{word(each.id)}.outcome"] = Kind.STRING
        names[f"steps.{word(each.id)}.result"] = Kind.MAP
    return names


ABORT = AbortRequested(reason="enough", by="ann")


def outcomes(ended: Execution) -> dict[str, Outcome | None]:
    return {name: state.outcome for name, state in ended.steps.items()}


def times(ended: Execution, name: str) -> tuple[float, float]:
    """Return the seconds at which a step began and ended."""
    state = ended.steps[StepId(name)]
    assert state.ended_at is not None
    return since(state.started_at), since(state.ended_at)


def ended_s(ended: Execution) -> float:
    assert ended.ended_at is not None
    return since(ended.ended_at)


def record_of(planned: Plan, number: int) -> ExecutionRecord:
    """Return the record of an execution of ``planned`` that nobody has begun."""
    return replace(
        new_record(new_scenario()),
        plan=planned,
        id=ExecutionId(NumberedIdentities(number).new()),
        worker=WorkerId(NumberedIdentities(number + 1).new()),
    )


def named(facts: Mapping[str, object], *keys: str) -> tuple[object, ...]:
    return tuple(facts.get(key) for key in keys)

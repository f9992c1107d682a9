"""One story from one seed: who works where, what goes wrong and when, and how it ends."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Final

from simulation.backend import Backend
from simulation.library import STORIES, Shop
from simulation.loop import STEP_S, Process, SimulatedLoop, silence
from simulation.network import WORLD, Server, at_once
from simulation.promises import HEARD_WITHIN_S, Wished, astray, clash, excess, misdone, misfired
from simulation.trouble import TROUBLES, WISHES
from simulation.truth import Truth, short
from simulation.worker import SimulatedWorker
from support.virtual_time import ANCHOR
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.definitions import StoredScenario
from test_coordination.application.ports import NotFoundError
from test_coordination.application.serving import Load
from test_coordination.application.timetable import Firing, FiringState, StoredSchedule
from test_coordination.application.wishes import Answer, Desire, Wish
from test_coordination.domain.schedule import Every, OnEvent, Overlap, Rules, Schedule, Trigger
from test_coordination.domain.values import ExecutionId

PATIENCE_S: Final = 240.0
"""How long everything may take to end after the last disturbance: a scenario's timeout, the
patience with a store, and the limit of an undo, one after the other."""

CLOSING_S: Final = 120.0
"""How long a worker may take to end once it is told to."""

LOOK_EVERY_S: Final = 0.1
"""How often it is looked whether a story has come to its end."""

FLEETS: Final = 0.5
"""In how many stories the workers are a fleet, to which executions can be left."""

DETACHED: Final = 0.7
"""How many executions are left to the fleet there."""

WAITED_FOR: Final = 0.3
"""How many of those somebody waits for."""

WISHED: Final = 0.4
"""In how many stories somebody wants something of an execution, whatever else goes wrong."""

SCHEDULED: Final = 0.3
"""In how many stories with a fleet a scenario runs by itself."""

_SHOP: Final = Shop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a story ended; the same seed gives the same ``trace``."""

    seed: int
    violations: tuple[str, ...]
    trace: str
    seconds: float
    steps: int
    counts: Counter[str]
    lines: tuple[str, ...] = ()


def tell(seed: int, *, telling: bool = False) -> Ending:
    """Return how the story of ``seed`` ends; with ``telling`` it is told line by line."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        with silence():
            ending = _told(seed, telling=telling)
            gc.collect(0)  # what is young is all from there, as nothing was collected meanwhile
            return ending
    finally:
        if collecting:
            gc.enable()


def _told(seed: int, *, telling: bool) -> Ending:
    story = Story(seed, telling=telling)
    with story.loop.installed():
        return story.play()


class Story:
    """A story while it is told."""

    def __init__(self, seed: int, *, telling: bool = False) -> None:
        self.seed = seed
        self.chance = Random(f"story {seed}")
        self.loop = SimulatedLoop(Random(f"loop {seed}"))
        self.truth = Truth(self.loop, telling=telling)
        server = Server("the store", self.loop, Random(f"store {seed}"))
        quick = Server("the quick store", self.loop, Random(f"quick {seed}"))
        self.backend = Backend(
            self.loop, self.truth, server, quick, _SHOP, chance=Random(f"system {seed}")
        )
        self.backend.hit_max = self.chance.choice([1, 2, 2])
        self.truth.laws += [partial(clash, self.truth), partial(excess, self.truth), self._astray]
        self.backend.wishes.made = self._wished
        self.backend.quick_wishes.made = self._noted
        self.backend.wishes.answered = self.backend.quick_wishes.answered = self._answered
        self._plans: dict[str, Trigger] = {}
        self.fleet: list[SimulatedWorker] = []
        self.machines = ["m1", "m2"][: self.chance.randint(1, 2)]
        self.quiet_s = self.chance.choice([3.0, 6.0, 9.0])
        self.healed = False
        self.has_fleet = self.chance.random() < FLEETS
        self.has_plans = self.has_fleet and self.chance.random() < SCHEDULED
        self._scenarios: list[StoredScenario] = []

    # From the beginning to the end.

    def play(self) -> Ending:
        """Tell all of it, and return how it ended."""
        self._prepare()
        self.loop.run(until_s=self.quiet_s)
        self._heal()
        limit_s = self.loop.now_s + PATIENCE_S
        while not self.loop.halted and self.loop.now_s < limit_s and not self._all_done():
            if self._goes_on_for(1.0, lambda: not self._all_done()):
                self._tidy()
        for word in self.truth.unsettled():
            self.truth.violated(f"{word} after {PATIENCE_S:g} s of fair weather")
        self._close()
        self._judge()
        truth, loop = self.truth, self.loop
        return Ending(
            seed=self.seed,
            violations=tuple(truth.violations),
            trace=f"{loop.digest:012x}{truth.digest:08x}",
            seconds=loop.now_s,
            steps=loop.steps,
            counts=Counter(truth.counts),
            lines=tuple(truth.lines),
        )

    def _prepare(self) -> None:
        chance = self.chance
        for _ in range(chance.choice([1, 2, 2, 3])):
            self.hire()
        for _ in range(chance.choice([1, 1, 2, 3])):
            self.at(chance.uniform(0.1, self.quiet_s / 2), self._run)
        if self.has_plans:
            self.at(chance.uniform(0.1, self.quiet_s / 4), self._schedule)
        if chance.random() < WISHED:
            self.after(chance.uniform(0.0, self.quiet_s), partial(chance.choice(WISHES), self))
        mix = chance.sample(TROUBLES, chance.randint(2, 6))
        for _ in range(chance.choice([0, 2, 3, 4, 6, 8])):
            self.after(chance.uniform(0.0, self.quiet_s), partial(chance.choice(mix), self))

    def _run(self) -> None:
        """Have somebody run a scenario."""
        worker = self.someone()
        if worker is None:
            return
        scenario = self._scenario()
        seed = self.chance.randrange(1000)

        detached = self.has_fleet and self.chance.random() < DETACHED
        waits = not detached or self.chance.random() < WAITED_FOR

        async def run(coordinator: Coordinator) -> None:
            begun = await coordinator.execute_scenario(
                scenario.id, requested_by="ann", seed=seed, detached=detached
            )
            if waits:
                await coordinator.execution_result(begun)

        worker.ask(f"run {scenario.name}{' detached' if detached else ''}", run)

    def _schedule(self) -> None:
        """Have somebody let a scenario run by itself."""
        worker, chance = self.someone(), self.chance
        if worker is None:
            return
        scenario, name = self._scenario(), f"plan-{len(self._plans)}"
        trigger: Trigger = Every(
            period=timedelta(seconds=chance.choice([1, 2, 3])),
            anchor=ANCHOR + timedelta(seconds=chance.random()),
        )
        if chance.random() < 0.3:
            trigger = OnEvent(event="deployed")
            for _ in range(3):
                self.after(chance.uniform(0.1, 5.0), self._deploy)
        rules = Rules(overlap=chance.choice([*Overlap]), max_runs=chance.choice([1, 2, 4]))
        plan, seed = Schedule(trigger=trigger, rules=rules), chance.randrange(1000)
        self._plans[name] = trigger

        async def create(coordinator: Coordinator) -> None:
            await coordinator.schedule_scenario(
                scenario.id, plan, name=name, requested_by="ann", seed=seed
            )

        worker.ask(f"schedule {scenario.name}", create)

    def _deploy(self) -> None:
        self.truth.tell("event", "deployed")
        self.backend.events.write("deployed")

    def _wished(self, wish: Wish, meant: frozenset[ExecutionId]) -> None:
        """See that a wish is heeded soon, if nothing is in the way."""
        self._noted(wish, meant)
        wished = Wished.now(wish, sorted(meant), self.truth)
        self.truth.tell("wish", f"{wish.desire} {', '.join(map(short, wished.holders))}")

        def look() -> None:
            if wrong := wished.unheeded(self.truth):
                self.truth.violated(wrong)

        self.at(self.loop.now_s + HEARD_WITHIN_S, look)

    def _noted(self, wish: Wish, meant: frozenset[ExecutionId]) -> None:
        if wish.desire is Desire.RESUME:
            self.truth.resumed.update(dict.fromkeys(meant, self.loop.now_s))

    def _answered(self, wish: Wish, answer: Answer) -> None:
        if wish.desire is Desire.PAUSE:
            now_s = self.loop.now_s
            said = {(each, answer.worker): now_s for each in answer.executions}
            self.truth.answered.update(said)

    def _scenario(self) -> StoredScenario:
        while not (found := _SHOP.stored(self.chance.randrange(STORIES))):
            continue
        for each in found:
            at_once(self.backend.scenarios.store(each))
        return found[-1]

    def _heal(self) -> None:
        """End all that is wrong, so that everything has to end well.

        Who is frozen goes on in his time: his executions are to be taken over before that.
        """
        self.truth.tell("healed")
        self.healed = True
        self.backend.store.weather.clear()
        self.backend.quick.weather.clear()
        self.backend.system.trouble.clear()
        self.backend.system.unwell.clear()
        self.truth.ambushes.clear()
        self.truth.excuse(None, self.loop.now_s)
        for name in self._plans:
            with suppress(NotFoundError):
                at_once(self.backend.timetable.change(name, _paused))
        for worker in self.fleet:
            worker.join()
            worker.lines.targets.cut = False
            worker.process.pace_s = STEP_S
            worker.process.mark = 0
        self._tidy()

    def _tidy(self) -> None:
        """Do what an operator does: see that somebody is there, and undo what was left."""
        if all(worker.gone for worker in self.fleet):
            self.hire()
        worker = self.someone()
        if worker is not None and self.truth.residue:
            worker.ask("undo", lambda coordinator: coordinator.undo_faults())
        if worker is not None:
            self._resume_all(worker)

    def _resume_all(self, worker: SimulatedWorker) -> None:
        for execution in self.truth.paused:
            resume = partial(Coordinator.resume_execution, execution=execution, reason="", by="ann")
            worker.ask("resume", resume)

    def _firings(self, name: str) -> Sequence[Firing]:
        with suppress(NotFoundError):
            return at_once(self.backend.timetable.firings(name, limit=1000))
        return ()

    def _astray(self) -> str:
        found = (astray(name, self._firings(name), self.truth) for name in self._plans)
        return next(filter(None, found), "")

    def _all_done(self) -> bool:
        open_states = {FiringState.DUE, FiringState.HEARD}
        fired = not any(
            firing.state in open_states for name in self._plans for firing in self._firings(name)
        )
        return self.truth.settled and fired and all(worker.idle for worker in self.fleet)

    def _close(self) -> None:
        limit_s = self.loop.now_s + CLOSING_S
        for worker in self.fleet:
            worker.close()
        while not self.loop.halted and self.loop.now_s < limit_s:
            if not self._goes_on_for(1.0, lambda: not all(each.gone for each in self.fleet)):
                break

    def _goes_on_for(self, seconds: float, is_open: Callable[[], bool]) -> bool:
        """Let time pass for as long as something is open; tell whether it is at the end."""
        end_s = self.loop.now_s + seconds
        while is_open() and self.loop.now_s < end_s and not self.loop.halted:
            self.loop.run(until_s=min(end_s, self.loop.now_s + LOOK_EVERY_S))
        return is_open()

    def _judge(self) -> None:
        wrong = [*self._unended(), *self.loop.failures]
        wrong += [misdone(told, self.truth) for told in self.truth.executions.values()]
        wrong += [
            misfired(name, trigger, self._firings(name), truth=self.truth)
            for name, trigger in self._plans.items()
        ]
        # Where it took too long to be fenced, and cannot be undone either, nobody can know of it.
        kept = self.truth.tardy & self.backend.system.clung
        left = [receipt for receipt in self.truth.in_force if receipt not in kept]
        wrong += [f"{receipt} is in force at the end" for receipt in left]
        for each in filter(None, wrong):
            self.truth.violated(each)

    def _unended(self) -> Iterator[str]:
        for worker in self.fleet:
            if not worker.gone:
                yield f"{worker} has not ended {CLOSING_S:g} s after it was told to"
            for failure in worker.failures():
                yield f"an execution of {worker} broke off with {failure}"
            left = [] if worker.process.dead else worker.process.busy()
            if left:
                yield f"{worker} has ended, and left {left}"

    # What troubles are made of.

    def at(self, second: float, act: Callable[[], object]) -> None:
        """Do something at that second, outside of all processes."""
        self.loop.call_at(second, act, context=WORLD)

    def after(self, delay_s: float, act: Callable[[], object]) -> None:
        """Do something so much later, unless all has been healed by then."""
        self.at(self.loop.now_s + delay_s, lambda: None if self.healed else act())

    def hire(self) -> SimulatedWorker:
        """Begin a worker."""
        process, chance = Process(len(self.fleet) + 1), self.chance
        load = Load(drain=timedelta(seconds=chance.choice([0, 2, 30])))
        worker = SimulatedWorker(
            self.backend,
            process,
            machine=chance.choice(self.machines),
            fleet=self.fleet,
            serves=load if self.has_fleet else None,
            schedules=self.has_plans,
        )
        self.truth.tell("hired", f"{worker} on {worker.machine}")
        return worker

    def someone(self) -> SimulatedWorker | None:
        """Return a worker that can be asked for something, if there is one."""
        up = [worker for worker in self.fleet if worker.up]
        return self.chance.choice(up) if up else None

    def worker(self, process: Process | None) -> SimulatedWorker | None:
        """Return who lives in a process, if it is there."""
        return next(
            (each for each in self.fleet if each.process is process and not each.gone), None
        )

    def anyone(self) -> SimulatedWorker | None:
        """Return a worker whose process is there, if there is one."""
        there = [worker for worker in self.fleet if not worker.gone]
        return self.chance.choice(there) if there else None


def _paused(schedule: StoredSchedule, now: datetime) -> StoredSchedule:
    return replace(schedule, paused_at=schedule.paused_at or now)

"""A worker in a simulated process: the real coordinator on ports that lead through the network."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from simulation.backend import Backend
from simulation.library import topology
from simulation.loop import Process
from simulation.network import WORLD
from simulation.ports import Unmoved
from simulation.truth import Truth
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.fleet import Worker
from test_coordination.application.holders import LetGoError
from test_coordination.application.lending import coordinating
from test_coordination.application.ports import LogConflictError
from test_coordination.application.routing import offered
from test_coordination.application.serving import FleetWorker, Load, Machinery, Terms
from test_coordination.application.world import World
from test_coordination.domain.errors import CoordinationError, StoreUnavailableError
from test_coordination.domain.execution import IllegalTransitionError
from test_coordination.domain.values import WorkerId

_EXPECTED = (LogConflictError, StoreUnavailableError, LetGoError)
"""What may break off an execution in a worker: another one ends it, or carries it on."""


@dataclass(slots=True)
class Computer:
    """A `Machine`, as far as one process sees it."""

    name: str
    process: Process
    truth: Truth
    fleet: Sequence[SimulatedWorker]

    def uptime(self) -> timedelta:
        return timedelta(seconds=self.truth.loop.now_s)

    def present(self, worker: WorkerId) -> Worker:
        self.truth.workers[self.process.number] = worker
        self.truth.processes[worker] = self.process
        return Worker(id=worker, host=self.name, pid=self.process.number, born="once")

    def is_dead(self, worker: Worker) -> bool:
        if worker.host != self.name:
            return False
        return any(each.process.number == worker.pid and each.gone for each in self.fleet)


class SimulatedWorker:
    """A process that lends a coordinator for as long as it lives."""

    def __init__(
        self,
        backend: Backend,
        process: Process,
        *,
        machine: str,
        fleet: list[SimulatedWorker],
        serves: Load | None = None,
        schedules: bool = False,
    ) -> None:
        """Carry out what others ordered as well, if it ``serves``, and look after schedules."""
        self.serves = serves
        self.schedules = schedules
        self.backend = backend
        self.process = process
        self.machine = machine
        self.lines = backend.lines(process)
        self.coordinator: Coordinator | None = None
        self._asking = 0
        self._closed = False
        self._clients: TaskGroup | None = None
        self._closing = anyio.Event()
        self._scope = anyio.CancelScope()
        self._fleet = fleet
        fleet.append(self)
        backend.loop.spawn(process, self._main())

    def __str__(self) -> str:
        return f"worker {self.process.number}"

    @property
    def idle(self) -> bool:
        """Tell whether nobody in this process waits for an answer of its coordinator."""
        return self.gone or not self._asking

    @property
    def gone(self) -> bool:
        return self.process.over or self.process.dead

    @property
    def up(self) -> bool:
        """Tell whether work can be given to it."""
        return self._clients is not None and not self.gone and not self._closed

    async def _main(self) -> None:
        truth, number = self.backend.truth, self.process.number
        try:
            with self._scope:
                await self._lend()
        except StoreUnavailableError as error:
            truth.tell("no store", f"{number}: {error}")
        except Exception as error:  # noqa: BLE001  whatever it is, it should not have come out
            truth.violated(f"worker {number} broke off with {_said(error)}")
        self.process.over = True
        truth.tell("down", str(number))

    async def _lend(self) -> None:
        machine = Computer(self.machine, self.process, self.backend.truth, self._fleet)
        world = self.backend.world(self.lines, machine)
        async with coordinating(world) as self.coordinator:
            self.backend.truth.tell("up", str(self.process.number))
            async with anyio.create_task_group() as self._clients:
                if self.serves is None:
                    await self._closing.wait()
                else:
                    if self.schedules:
                        self._clients.start_soon(self.coordinator.run_schedules)
                    await self._fleet_worker(world, self.coordinator).serve(self._closing)
                self._clients.cancel_scope.cancel()

    def _fleet_worker(self, world: World, coordinator: Coordinator) -> FleetWorker:
        work, load = coordinator.work, self.serves
        assert load is not None, "it serves"
        return FleetWorker(
            me=work.me,
            terms=Terms(
                program="simulated", offers=offered(world.catalogue, topology()), load=load
            ),
            machinery=Machinery(
                log=world.stores.log,
                executions=work.executions,
                dispatch=world.dispatch,
                memory=lambda: 0,
                behind=lambda: timedelta(0),
            ),
            witness=Unmoved(),
        )

    def ask(self, doing: str, act: Callable[[Coordinator], Awaitable[Any]]) -> None:
        """Have somebody in this process ask its coordinator for something."""
        assert self._clients is not None, "it is up"
        begin = self._clients.start_soon
        begun = self.process.context.copy().run(begin, self._asked, doing, act)
        assert begun.name, "a task that ends with the others"

    async def _asked(self, doing: str, act: Callable[[Coordinator], Awaitable[Any]]) -> None:
        truth, number = self.backend.truth, self.process.number
        assert self.coordinator is not None, "it is up"
        truth.tell("ask", f"{number}: {doing}")
        self._asking += 1
        try:
            await act(self.coordinator)
        except IllegalTransitionError as error:
            truth.violated(f"{doing} on worker {number} met a log that cannot be: {error}")
        except CoordinationError as error:
            truth.tell("refused", f"{number}: {doing}: {error}")
        except Exception as error:  # noqa: BLE001  whatever it is, it should not have come out
            truth.violated(f"{doing} on worker {number} broke off with {_said(error)}")
        finally:
            self._asking -= 1

    def failures(self) -> list[str]:
        """Return what broke off executions of this worker, and should not have."""
        runs = self.coordinator.work.executions._runs if self.coordinator else {}
        broken = [run.failure for run in runs.values() if run.failure is not None]
        return [_said(each) for each in broken if not isinstance(each, _EXPECTED)]

    def cut(self, for_s: float) -> None:
        """Cut it off from the store for a while."""
        backend = self.backend
        backend.truth.tell("cut", f"{self} from the store for {for_s} s")
        backend.truth.excuse(self.process, backend.loop.now_s + for_s)
        self.lines.store.cut = True
        backend.loop.call_later(for_s, self.join, context=WORLD)

    def join(self) -> None:
        """Let it reach the store again."""
        self.lines.store.cut = False

    def close(self, *, cancelled: bool = False) -> None:
        """Ask the process to end, as SIGTERM does, or cancel all that it does."""
        self.backend.truth.tell("cancel" if cancelled else "close", str(self.process.number))
        end = self._scope.cancel if cancelled else self._closing.set
        self._closed = True
        self.process.context.copy().run(self.backend.loop.call_soon, end)

    def kill(self) -> None:
        """End it between two of its awaits, as SIGKILL does."""
        if not self.gone:
            self.backend.truth.tell("kill", str(self.process.number))
            self.process.dead = True
            self.lines.targets.let_go()

    def freeze(self, for_s: float) -> None:
        """Stop it between two of its awaits, as SIGSTOP does, and let it go on later."""
        if self.gone or self.process.frozen:
            return
        self.backend.truth.tell("freeze", f"{self.process.number} for {for_s:.2f} s")
        self.process.frozen = True
        self.backend.truth.excuse(self.process, self.backend.loop.now_s + for_s)
        self.backend.loop.call_later(for_s, self.thaw, context=WORLD)

    def thaw(self) -> None:
        if self.process.frozen and not self.gone:
            self.backend.truth.tell("thaw", str(self.process.number))
            self.backend.loop.thaw(self.process)


def _said(error: BaseException) -> str:
    """Return what went wrong, and where that was, in one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    return f"{type(error).__name__}: {error} ({where})"

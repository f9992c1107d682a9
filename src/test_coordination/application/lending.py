"""Lends a coordinator: what dead ones left is undone first, and what it began ends with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

import anyio
from anyio.abc import TaskGroup

from test_coordination.application.controls import Controls
from test_coordination.application.coordinator import Coordinator
from test_coordination.application.engine.lease import LEASE, Lease
from test_coordination.application.engine.patience import RETRY_S, STORE_PATIENCE, patiently
from test_coordination.application.engine.sweep import Abandoned, Sweeper, Swept
from test_coordination.application.executions import Executions
from test_coordination.application.listening import Listening
from test_coordination.application.suite_runs import SuiteRuns
from test_coordination.application.wishes import Wish
from test_coordination.application.work import Work
from test_coordination.application.world import World
from test_coordination.domain.errors import StoreUnavailableError
from test_coordination.domain.values import ExecutionId, WorkerId

SWEEP_EVERY: Final = timedelta(milliseconds=500)
"""With the lease of a worker that falls silent this makes five seconds until it is replaced."""

SWEEP_OWN_EVERY: Final = timedelta(seconds=5)
"""What this worker lost hold of itself is tried again less often: its store may be in trouble."""

_CLOSED: Final = "its coordinator was closed"
_PROGRAM: Final = "the program"


@asynccontextmanager
async def coordinating(world: World) -> AsyncGenerator[Coordinator]:
    """Lend a coordinator; what dead ones left is undone before it is lent.

    At the end its executions are stopped and their faults undone, also when it is cancelled.
    What the body raises comes out as it is.

    Raises:
        StoreUnavailableError: the stores could not be read or written to begin with.
    """
    worker = world.machine.present(WorkerId(world.identities.new()))
    lease = Lease(world.workers, worker, world.machine)
    await patiently(lease.beat, doing="saying that this worker is there")
    failure: BaseException | None = None
    beating = anyio.CancelScope(shield=True)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_keep_beating, lease, beating)
            try:
                async with _at_work(world, group, lease) as coordinator:
                    yield coordinator
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as error:  # noqa: BLE001  a task group would wrap it
                failure = error
            finally:
                beating.cancel()
            group.cancel_scope.cancel()
        # CPython 3.11 traces no line here, after the group was cancelled: tests run it, unseen.
        if failure is not None:  # pragma: no cover
            raise failure
    finally:
        await _leave(world, worker.id)


@asynccontextmanager
async def _at_work(world: World, group: TaskGroup, lease: Lease) -> AsyncGenerator[Coordinator]:
    settling: dict[ExecutionId, anyio.Event] = {}
    executions = Executions(world, group, lease, settling=settling)
    sweeper = Sweeper(
        stores=world.stores,
        workers=world.workers,
        machine=world.machine,
        faults=world.catalogue.faults,
        secrets=world.secrets,
        lease=lease,
        busy=executions.busy,
        settling=settling,
        wishes=world.wishes.kept,
        present=world.dispatch.present,
    )
    swept = await _first_sweep(sweeper)
    group.start_soon(_keep_sweeping, sweeper, group)
    group.start_soon(executions.lobby.run)
    suites = SuiteRuns(world, executions, group)
    controls = await _listening(world, group, lease.me, executions=executions, suites=suites)
    work = Work(
        me=lease.me, executions=executions, suites=suites, sweeper=sweeper, controls=controls
    )
    try:
        yield Coordinator(world, work, swept=swept)
    finally:
        with anyio.CancelScope(shield=True):
            await suites.abort_all(reason=_CLOSED, by=_PROGRAM)
            await executions.close(reason=_CLOSED, by=_PROGRAM)


async def _listening(
    world: World, group: TaskGroup, me: WorkerId, *, executions: Executions, suites: SuiteRuns
) -> Controls:
    """Have this worker go by what is wished anywhere, and return the way to wish something."""

    def heed(wish: Wish) -> frozenset[ExecutionId]:
        suites.heed(wish)
        return executions.heed(wish)

    def near(wish: Wish) -> frozenset[ExecutionId]:
        return listening.hear(wish)

    controls = Controls(
        world.wishes, world.stores, world.workers, identities=world.identities, near=near
    )
    listening = Listening(world.wishes, controls, me, heed=heed)
    await group.start(listening.run)
    return controls


async def _keep_beating(lease: Lease, beating: anyio.CancelScope) -> None:
    """Renew the lease until ``beating`` is cancelled.

    Nothing else ends it: while faults are still being undone at the end, whoever is silent would
    be taken for dead, and the same faults would be undone by two workers at once.
    """
    with beating:
        await lease.keep()


async def _first_sweep(sweeper: Sweeper) -> Sequence[Swept]:
    """Sweep once; a store that is away for a moment, as when its owner changes, is waited for.

    The sweep itself is never cut short, however long an undo takes.

    Raises:
        StoreUnavailableError: the store was still away after ``STORE_PATIENCE``.
    """
    limit = anyio.current_time() + STORE_PATIENCE.total_seconds()
    while True:
        try:
            return await sweeper.sweep()
        except StoreUnavailableError:
            if anyio.current_time() >= limit:
                raise
            await anyio.sleep(RETRY_S)


async def _keep_sweeping(sweeper: Sweeper, group: TaskGroup) -> None:
    """Sweep now and then until this is cancelled, also after the store was away.

    What is found is settled beside it, so that one undo that takes long keeps nobody else's
    faults in force.
    """
    turns = 0
    while True:
        await anyio.sleep(SWEEP_EVERY.total_seconds())
        turns += 1
        own = turns % (SWEEP_OWN_EVERY // SWEEP_EVERY) == 0
        with suppress(StoreUnavailableError):
            if found := await sweeper.find(own=own):
                group.start_soon(_settle, sweeper, found)


async def _settle(sweeper: Sweeper, found: Sequence[Abandoned]) -> None:
    with suppress(StoreUnavailableError):
        await sweeper.settle(found)


async def _leave(world: World, worker: WorkerId) -> None:
    """Say goodbye; if the store does not hear it, the lease runs out by itself."""
    with anyio.move_on_after(LEASE.total_seconds(), shield=True), suppress(StoreUnavailableError):
        await world.workers.leave(worker)

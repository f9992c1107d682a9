"""What can go wrong in a story: each does one thing, perhaps for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random
from typing import Protocol

from simulation.backend import Backend
from simulation.loop import Process
from simulation.truth import Truth, short
from simulation.worker import SimulatedWorker
from test_coordination.application.coordinator import Coordinator
from test_coordination.domain.values import ExecutionId


class Scene(Protocol):
    """What a trouble may ask for."""

    chance: Random
    backend: Backend
    truth: Truth
    fleet: list[SimulatedWorker]

    def after(self, delay_s: float, act: Callable[[], object]) -> None: ...
    def hire(self) -> SimulatedWorker: ...
    def worker(self, process: Process | None) -> SimulatedWorker | None: ...
    def someone(self) -> SimulatedWorker | None: ...
    def anyone(self) -> SimulatedWorker | None: ...


Trouble = Callable[[Scene], None]


def kill(scene: Scene) -> None:
    """Kill a worker after some number of its steps, or now; mostly another one comes."""
    if (worker := scene.anyone()) is not None:
        _between_awaits(scene, worker, partial(_killed, scene, worker))


def freeze(scene: Scene) -> None:
    """Freeze a worker after some number of its steps, or now, for longer than a lease or not."""
    worker = scene.anyone()
    if worker is not None:
        for_s = scene.chance.choice([0.3, 2.0, 5.0, 8.0, 14.0])
        _between_awaits(scene, worker, lambda: worker.freeze(for_s))


def _between_awaits(scene: Scene, worker: SimulatedWorker, act: Callable[[], None]) -> None:
    process = worker.process
    if scene.chance.random() < 0.2:
        act()
        return
    process.mark = process.steps + int(10 ** scene.chance.uniform(0.0, 2.3))
    process.marked = act


def ambush(scene: Scene) -> None:
    """Wait for something to happen, and hit whoever did it a few steps later."""
    chance = scene.chance
    happening = chance.choice(
        ["armed", "armed", "injected", "given", "created", "acted", "written"]
    )
    hit = chance.choice([_killed, _frozen, _frozen, _cut])

    def strike(process: Process | None) -> None:
        if (worker := scene.worker(process)) is not None:
            steps = chance.choice([0, 0, 1, 2, 3, 5, 8])
            if steps == 0:
                hit(scene, worker)
            worker.process.mark = worker.process.steps + steps
            worker.process.marked = partial(hit, scene, worker)

    scene.truth.ambushes.setdefault(happening, []).append(strike)


def slow_injection(scene: Scene) -> None:
    """Let injections take so long that a lease may end meanwhile, and see that one does."""
    trouble, chance = scene.backend.system.trouble, scene.chance
    trouble.tardy = 0.8
    hit = chance.choice([_frozen, _cut])

    def strike(process: Process | None) -> None:
        if (worker := scene.worker(process)) is not None:
            scene.after(chance.uniform(0.0, 0.5), partial(hit, scene, worker))

    scene.truth.ambushes.setdefault("injecting", []).append(strike)
    scene.after(8.0, trouble.clear)


def interrupted(scene: Scene) -> None:
    """Cancel a worker that has just injected a fault, and let the undo take its time."""

    def strike(process: Process | None) -> None:
        if (worker := scene.worker(process)) is not None:
            scene.backend.system.trouble.late = 0.9
            scene.after(12.0, scene.backend.system.trouble.clear)
            worker.close(cancelled=True)
            scene.after(scene.chance.uniform(0.0, 1.0), scene.hire)

    scene.truth.ambushes.setdefault("injected", []).append(strike)


def rude_awakening(scene: Scene) -> None:
    """Let who is frozen go on just when somebody sees that, or takes what he has."""

    def wake(process: Process | None) -> None:
        del process
        for worker in scene.fleet:
            scene.after(scene.chance.choice([0.0, 0.002, 0.005, 0.02]), worker.thaw)

    happening = scene.chance.choice(["given", "silence"])
    scene.truth.ambushes.setdefault(happening, []).append(wake)
    if (worker := scene.anyone()) is not None:
        worker.freeze(9.0)


def changing_hands(scene: Scene) -> None:
    """Stop whoever takes something just then, and let go on who had it before."""

    def change(process: Process | None) -> None:
        if (taker := scene.worker(process)) is not None:
            taker.freeze(scene.chance.choice([0.5, 2.0]))
        for worker in scene.fleet:
            if worker is not taker:
                scene.after(scene.chance.choice([0.0, 0.002, 0.005]), worker.thaw)

    scene.truth.ambushes.setdefault("given", []).append(change)
    if (worker := scene.anyone()) is not None:
        worker.freeze(9.0)


def zombie(scene: Scene) -> None:
    """Stop a worker, or cut it off, in the middle of a deed, until another one has what it had."""
    chance, hit = scene.chance, scene.chance.choice([_frozen, _cut])

    def strike(process: Process | None) -> None:
        if (worker := scene.worker(process)) is not None:
            scene.hire()
            worker.process.mark = worker.process.steps + chance.choice([1, 2, 3])
            worker.process.marked = partial(hit, scene, worker)

    happening = chance.choice(["armed", "armed", "injected", "acted", "acted", "written"])
    scene.truth.ambushes.setdefault(happening, []).append(strike)


def _killed(scene: Scene, worker: SimulatedWorker) -> None:
    worker.kill()
    if scene.chance.random() < 0.5:
        scene.after(scene.chance.uniform(0.0, 3.0), scene.hire)


def _frozen(scene: Scene, worker: SimulatedWorker) -> None:
    worker.freeze(scene.chance.choice([4.6, 5.0, 6.0, 9.0]))


def _cut(scene: Scene, worker: SimulatedWorker) -> None:
    worker.cut(scene.chance.choice([3.0, 6.0, 9.0]))


def cut_off(scene: Scene) -> None:
    """Cut a worker off from the store."""
    if (worker := scene.anyone()) is not None:
        worker.cut(scene.chance.choice([0.5, 3.0, 8.0]))


def cut_targets(scene: Scene) -> None:
    """Cut a worker off from the targets."""
    if (worker := scene.anyone()) is not None:
        scene.truth.tell("cut", f"{worker} from the targets")
        worker.lines.targets.cut = True
        scene.after(scene.chance.choice([0.5, 3.0, 8.0]), worker.lines.targets.join)


def store_away(scene: Scene) -> None:
    """Let the store be away for everybody."""
    weather = scene.backend.store.weather
    scene.truth.tell("weather", "away")
    weather.away = True
    _until(scene, scene.chance.choice([0.2, 1.0, 6.0]))


def store_slow(scene: Scene) -> None:
    """Let every message to and from the store take its time."""
    weather = scene.backend.store.weather
    weather.slow_s = scene.chance.choice([0.05, 0.5, 2.0])
    scene.truth.tell("weather", f"slow {weather.slow_s}")
    _until(scene, scene.chance.uniform(0.5, 6.0))


def store_lossy(scene: Scene) -> None:
    """Let messages to and from the store be lost, and some arrive twice."""
    weather, chance = scene.backend.store.weather, scene.chance
    weather.lost, weather.mute, weather.doubled = (chance.choice([0.0, 0.1, 0.4]) for _ in range(3))
    scene.truth.tell("weather", f"lost {weather.lost} mute {weather.mute} twice {weather.doubled}")
    _until(scene, chance.uniform(0.5, 6.0))


def _until(scene: Scene, for_s: float) -> None:
    scene.truth.excuse(None, scene.backend.loop.now_s + for_s)
    scene.after(for_s, scene.backend.store.weather.clear)


def targets_fail(scene: Scene) -> None:
    """Let what is asked of the targets fail, with or without effect, hang, or take long."""
    trouble, chance = scene.backend.system.trouble, scene.chance
    shares = [chance.choice([0.0, 0.0, 0.2, 0.6]) for _ in range(5)]
    trouble.refused, trouble.broken, trouble.late, trouble.stuck, trouble.tardy = shares
    scene.truth.tell("targets", str(shares))
    scene.after(chance.uniform(0.5, 8.0), trouble.clear)


def target_restarts(scene: Scene) -> None:
    """Restart a service, which takes the faults away that it suffers from."""
    service = scene.chance.choice(["shop", "bank", "till"])
    scene.truth.tell("restart", service)
    scene.backend.system.restart(service)


def stubborn(scene: Scene) -> None:
    """Let a service keep its faults for longer than an undo tries."""
    service = scene.chance.choice(["shop", "bank", "till"])
    scene.truth.tell("stubborn", service)
    scene.backend.system.stubborn[service] = scene.backend.loop.now_s + 70.0


def system_ill(scene: Scene) -> None:
    """Let the system be ill by itself."""
    now = scene.backend.loop.now_s
    scene.backend.system.unwell.append((now, now + scene.chance.uniform(0.5, 6.0)))


def clock_jumps(scene: Scene) -> None:
    """Set what a worker takes for the time."""
    if (worker := scene.anyone()) is not None:
        worker.lines.clock.off_s += scene.chance.choice([-5.0, -0.5, 0.5, 5.0])
        scene.truth.tell("clock", f"{worker} is off by {worker.lines.clock.off_s} s")


def slow_worker(scene: Scene) -> None:
    """Let each step of a worker take long, as on a machine that is too busy."""
    if (worker := scene.anyone()) is not None:
        worker.process.pace_s = scene.chance.choice([0.001, 0.01])
        scene.truth.excuse(worker.process, 1e6)
        scene.truth.tell("pace", f"{worker} at {worker.process.pace_s}")


def quick_way(scene: Scene) -> None:
    """Let the quick store be away, lose messages, or lose all that it has."""
    weather, chance = scene.backend.quick.weather, scene.chance
    scene.truth.tell("quick", "trouble")
    if chance.random() < 0.3:
        scene.backend.quick_wishes.wipe()
        return
    weather.away, weather.lost, weather.mute = chance.random() < 0.5, 0.3, 0.3
    scene.after(chance.uniform(0.5, 8.0), weather.clear)


def abort(scene: Scene) -> None:
    """Ask for an execution to be stopped."""

    async def stop(coordinator: Coordinator, execution: ExecutionId) -> None:
        await coordinator.abort_execution(execution, reason="enough", by="ann")

    def strike(_: Process | None) -> None:
        delay_s = scene.chance.uniform(0.0, 1.0)
        scene.after(delay_s, lambda: _ask_of_one(scene, "stop", stop, among=_parents(scene)))

    if scene.chance.random() < 0.5:
        scene.truth.ambushes.setdefault("step", []).append(strike)
    else:
        _ask_of_one(scene, "stop", stop)


def pause(scene: Scene) -> None:
    """Ask for an execution to be paused, and mostly for it to go on a while later."""
    undo, chance = scene.chance.random() < 0.5, scene.chance

    async def hold(coordinator: Coordinator, execution: ExecutionId) -> None:
        await coordinator.pause_execution(execution, reason="wait", by="ann", undo=undo)

    async def go_on(coordinator: Coordinator, execution: ExecutionId) -> None:
        await coordinator.resume_execution(execution, reason="well", by="ann")

    def ask(process: Process | None) -> None:
        _ask_of_one(scene, "pause", hold, worker=scene.worker(process))

    def strike(process: Process | None) -> None:
        if chance.random() < 0.5:
            scene.backend.store.weather.slow_s = 0.3
            _until(scene, 1.0)
        ask(process)

    def bide(process: Process | None) -> None:
        scene.after(chance.uniform(0.01, 0.5), partial(ask, process))

    when = chance.random()
    if when < 0.4:
        scene.truth.ambushes.setdefault("armed", []).append(strike)
    elif when < 0.8:
        scene.truth.ambushes.setdefault("injected", []).append(bide)
    else:
        _ask_of_one(scene, "pause", hold)
    if chance.random() < 0.7:
        resume = partial(_ask_of_one, scene, "resume", go_on)
        scene.after(chance.uniform(0.5, 6.0), resume)


def stop_all(scene: Scene) -> None:
    """Ask for everything to be stopped."""
    if (worker := scene.someone()) is not None:
        worker.ask("stop all", lambda each: each.stop_all(reason="enough", by="ann"))


def _ask_of_one(
    scene: Scene,
    what: str,
    act: Callable[[Coordinator, ExecutionId], Awaitable[None]],
    *,
    worker: SimulatedWorker | None = None,
    among: Sequence[ExecutionId] = (),
) -> None:
    worker, running = worker or scene.someone(), among or scene.truth.running()
    if worker is not None and worker.up and running:
        execution = scene.chance.choice(running)
        worker.ask(f"{what} {short(execution)}", lambda each: act(each, execution))


def _parents(scene: Scene) -> list[ExecutionId]:
    """Return the executions of which others are steps that run."""
    told = scene.truth.executions
    above = [told[each].record.parent for each in scene.truth.running()]
    return [each for each in above if each is not None and not told[each].over]


def undo(scene: Scene) -> None:
    """Ask for what was left in force to be undone."""
    if (worker := scene.someone()) is not None:
        worker.ask("undo", lambda coordinator: coordinator.undo_faults())


def close(scene: Scene) -> None:
    """Tell a worker to end, or cancel all that it does; mostly another one comes."""
    if (worker := scene.anyone()) is not None:
        worker.close(cancelled=scene.chance.random() < 0.5)
        if scene.chance.random() < 0.7:
            scene.after(scene.chance.uniform(0.0, 3.0), scene.hire)


def come(scene: Scene) -> None:
    """Let one more worker begin."""
    scene.hire()


TROUBLES: list[Trouble] = [
    kill, freeze, ambush, ambush, ambush, rude_awakening, changing_hands, zombie, zombie,
    slow_injection, interrupted, cut_off, cut_targets, store_away, store_slow, store_lossy,
    targets_fail, target_restarts, stubborn, system_ill, clock_jumps, slow_worker, quick_way,
    abort, abort, pause, pause, stop_all, undo, close, come,
]  # fmt: skip

WISHES: list[Trouble] = [abort, pause, pause]
"""Those that are no trouble where all else is well, and are to be heeded soon."""

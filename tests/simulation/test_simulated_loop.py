"""The loop of the simulation: chance picks who runs, and processes end as real ones do."""

from __future__ import annotations

from random import Random

import anyio

from simulation.loop import Process, SimulatedLoop
from simulation.network import WORLD


async def count(said: list[str], name: str) -> None:
    """Say something three times, half a second apart, and something more at the end."""
    try:
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(say, said, f"{name}{number}")
                await anyio.sleep(0.5)
    finally:
        said.append(f"{name} ends")


async def say(said: list[str], what: str) -> None:
    said.append(what)


def told(seed: int) -> tuple[list[str], int]:
    """Return what two processes say, and what names the choices that were made."""
    loop, said = SimulatedLoop(Random(seed)), list[str]()
    with loop.installed():
        for name in ("a", "b"):
            loop.spawn(Process(ord(name)), count(said, name))
        loop.run(until_s=10)
        return list(said), loop.digest


def test_the_same_seed_makes_the_same_choices_and_another_one_others() -> None:
    assert told(1) == told(1)
    assert len({told(seed)[1] for seed in range(20)}) > 10
    assert len({tuple(told(seed)[0]) for seed in range(20)}) > 5


def test_time_passes_only_while_nobody_can_do_anything() -> None:
    loop, said = SimulatedLoop(Random(1)), list[str]()
    with loop.installed():
        loop.spawn(Process(1), count(said, "a"))
        loop.run(until_s=1000)

        assert said == ["a0", "a1", "a2", "a ends"]
        assert loop.now_s == 1000


def test_a_process_that_is_killed_has_no_last_word() -> None:
    loop, said = SimulatedLoop(Random(1)), list[str]()
    killed = Process(1)
    with loop.installed():
        loop.spawn(killed, count(said, "a"))
        loop.call_later(0.7, lambda: setattr(killed, "dead", True), context=WORLD)
        loop.run(until_s=10)

        assert said == ["a0", "a1"]


def test_a_process_can_be_killed_between_any_two_of_its_awaits() -> None:
    ends: set[int] = set()
    for step in range(1, 30):
        loop, said = SimulatedLoop(Random(1)), list[str]()
        killed = Process(1)
        killed.mark, killed.marked = step, lambda each=killed: setattr(each, "dead", True)
        with loop.installed():
            loop.spawn(killed, count(said, "a"))
            loop.run(until_s=10)
            ends.add(len(said))

    assert ends == {0, 1, 2, 3, 4}


def test_a_frozen_process_finds_all_that_has_happened_when_it_goes_on() -> None:
    loop, said = SimulatedLoop(Random(1)), list[str]()
    frozen = Process(1)
    with loop.installed():
        loop.spawn(frozen, count(said, "a"))
        loop.spawn(Process(2), count(said, "b"))
        loop.call_later(0.7, lambda: setattr(frozen, "frozen", True), context=WORLD)
        loop.call_later(5, loop.thaw, frozen, context=WORLD)
        loop.run(until_s=10)

        assert said[-2:] == ["a2", "a ends"]
        assert said.index("b ends") < said.index("a2")


def test_a_callback_that_fails_is_noticed() -> None:
    def fail() -> None:
        raise ValueError("so it is")

    loop = SimulatedLoop(Random(1))
    with loop.installed():
        loop.call_later(1, fail, context=WORLD)
        loop.run(until_s=2)

    assert loop.failures == ["a callback raised ValueError('so it is')"]

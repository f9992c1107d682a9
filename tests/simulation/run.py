"""Tell the stories of many seeds, or of one: ``python tests/simulation/run.py --help``."""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from simulation.story import Ending, tell

CHUNK = 200
"""How many stories a process tells before it says how they ended."""

SHOWN_MAX = 3
"""How many of them it shows that fail."""


_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


@dataclass(slots=True)
class Tally:
    """How many stories were told, and what there was in them."""

    stories: int = 0
    failed: list[int] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, ending: Ending) -> None:
        self.stories += 1
        self.steps += ending.steps
        self.seconds += ending.seconds
        self.counts.update(ending.counts)
        if ending.violations:
            self.failed.append(ending.seed)
            if len(self.failed) <= SHOWN_MAX:
                print(failure(ending), flush=True)

    def merge(self, other: Tally) -> None:
        self.stories += other.stories
        self.failed += other.failed
        self.steps += other.steps
        self.seconds += other.seconds
        self.counts.update(other.counts)


def failure(ending: Ending) -> str:
    """Return the line that says what failed, and how to see it again."""
    said = " ".join(ending.violations[0].split())
    return f"seed {ending.seed}: {said} | replay: make simulate SEED={ending.seed}"


def told(seeds: Sequence[int]) -> Tally:
    """Return how the stories of ``seeds`` ended; what fails is printed."""
    tally = Tally()
    for seed in seeds:
        tally.add(tell(seed))
    return tally


def many(seeds: range, processes: int) -> Iterator[Tally]:
    """Yield how the stories of ``seeds`` ended, bunch by bunch."""
    bunches = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    if processes == 1:
        yield from map(told, bunches)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, max_tasks_per_child=50) as pool:
        yield from pool.map(told, bunches)


def replay(seed: int) -> int:
    """Tell one story line by line, and see that it is the same when it is told again."""
    ending, again = tell(seed, telling=True), tell(seed)
    print(*ending.lines, sep="\n")
    same = "the same again" if ending.trace == again.trace else f"NOT the same: {again.trace}"
    print(f"seed {seed}: {len(ending.violations)} violations, trace {ending.trace}, {same}")
    return 1 if ending.violations or ending.trace != again.trace else 0


def main(arguments: Iterable[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="tell the story of this seed line by line")
    parser.add_argument("--first", type=int, default=0, help="the first of many seeds")
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--traces", action="store_true", help="name each story")
    parser.add_argument("--stop", action="store_true", help="stop after the first that fails")
    given = parser.parse_args(list(arguments))
    if given.seed is not None:
        return replay(given.seed)
    seeds = range(given.first, given.first + given.seeds)
    if given.traces:
        print(*(f"{seed} {tell(seed).trace}" for seed in seeds), sep="\n")
        return 0
    gc.freeze()
    begun, tally = time.monotonic(), Tally()
    for part in many(seeds, given.processes):
        tally.merge(part)
        if tally.failed and given.stop:
            break
    took_s = time.monotonic() - begun
    spent_s = sum(resource.getrusage(who).ru_utime for who in _WHO)
    shown = ", ".join(f"{kind} {count}" for kind, count in sorted(tally.counts.items()))
    print(
        f"{tally.stories} stories in {took_s:.1f} s ({tally.stories / spent_s:.0f} a second of a "
        f"core), "
        f"{tally.steps} steps, {tally.seconds / 3600:.1f} simulated hours, "
        f"{len(tally.failed)} failed"
    )
    print(shown)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

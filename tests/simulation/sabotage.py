"""Break the engine on purpose, and see how soon the simulation notices: ``make sabotage``."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from simulation.sabotages import SABOTAGES, Sabotage
from simulation.story import tell

_NAMED = re.compile(r"[0-9a-f]{8}-[-0-9a-f]{27}|\b[0-9a-f]{4}\b|'[^']*'|\w+#\d+|\d+")


def kind_of(violation: str) -> str:
    """Return what a violation says, without the names in it."""
    return " ".join(_NAMED.sub("…", violation.partition(":")[0]).split())[:74]


def noticed(seeds: Iterable[int], finds: int) -> tuple[int, list[int], Counter[str]]:
    """Return how many stories were told, which of them noticed something, and what that was."""
    told, found, kinds = 0, list[int](), Counter[str]()
    for seed in seeds:
        told += 1
        if violations := tell(seed).violations:
            found.append(seed)
            kinds[kind_of(violations[0])] += 1
            if len(found) == finds:
                break
    return told, found, kinds


def tried(number: int, *, first: int, stories: int, finds: int) -> str:
    """Return what a process finds that is sabotaged; its first words are how much was told."""
    given = {"one": number, "first": first, "stories": stories, "finds": finds}
    arguments = [f"--{name}={value}" for name, value in given.items()]
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    why = done.stderr.strip().splitlines()[-1:]
    return done.stdout.strip() or f"0 0 - {''.join(why)}"


def one(number: int, seeds: range, finds: int) -> int:
    """Sabotage this process and tell stories in it; say how many there were, and noticed it."""
    SABOTAGES[number].does()
    told, found, kinds = noticed(seeds, finds)
    said = kinds.most_common(1)[0][0] if kinds else ""
    print(told, len(found), found[0] if found else "-", said)
    return 0 if found else 1


def row(sabotage: Sabotage, answer: str) -> tuple[bool, str]:
    """Return whether a sabotage was noticed, and its row of the table."""
    told, found, seed, *said = answer.split(" ", 3)
    every = f"{int(told) / int(found):.0f}" if int(found) else f"none of {told}"
    return int(found) > 0, f"{sabotage.name:62} {every:>11} {seed:>5}  {''.join(said)}"


def main(arguments: Iterable[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", type=int, help="the number of a sabotage, done in this process")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--stories", type=int, default=2000, help="within how many stories")
    parser.add_argument("--finds", type=int, default=3, help="stop after so many that notice it")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", default="", help="those whose name contains this")
    given = parser.parse_args(list(arguments))
    if given.one is not None:
        return one(given.one, range(given.first, given.first + given.stories), given.finds)
    print(f"{'sabotage':62} {'noticed in':>11} {'first':>5}")
    print(f"{'':62} {'one of':>11} {'seed':>5}  by")
    numbers = [n for n, each in enumerate(SABOTAGES) if given.only in each.name]
    missed = 0
    with ThreadPoolExecutor(given.processes) as pool:
        limits = {"first": given.first, "stories": given.stories, "finds": given.finds}
        answers = pool.map(partial(tried, **limits), numbers)
        for number, answer in zip(numbers, answers, strict=True):
            is_noticed, said = row(SABOTAGES[number], answer)
            missed += not is_noticed
            print(said, flush=True)
    print(f"{len(numbers) - missed} of {len(numbers)} noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What `soak.py` makes of its samples: a table, and whether all is within its limits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import sqrt
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias

from soak_samples import (  # type: ignore[import-not-found]  # beside it
    BY_SCENARIO,
    FIRINGS,
    VERDICTS,
    Samples,
)
from test_coordination.adapters.postgres.pool import Pool

Points: TypeAlias = Sequence[tuple[float, float]]
"""Values and when they were seen, in seconds from the begin."""

MEMORY_SHARE: Final = 0.05
MEMORY_MIB: Final = 10.0
COUNT_SHARE: Final = 0.05
COUNT: Final = 1.0
WARM_S_MAX: Final = 900.0
"""Till then each of a worker's connections meets the statements that it keeps prepared."""
WINDOW_S_MAX: Final = 600.0
JUDGED_S_MIN: Final = 1800.0
SERVICES: Final = 9
CALLS: Final = 3
"""How many processes calls of Python may take at once: one of them, and what that needs."""
NORMAL_95: Final = 1.96
STAYS: Final = "worker that stays"
REPLACED: Final = "worker that is replaced"
STEADY: Final = (STAYS, "links", "follower", "follower without Valkey")
WORDS: Final = {
    "uss_mib": "memory",
    "fds": "descriptors",
    "threads": "threads",
}

NOT_ENDED: Final = "SELECT count(*) FROM execution WHERE status <> 'finished'"
FAULTS: Final = "SELECT count(*) FROM fault_receipt"
STRANGE: Final = """
    SELECT count(*) FROM (
        SELECT execution_id FROM execution_event
        WHERE kind = 'ExecutionEnded' GROUP BY execution_id HAVING count(*) <> 1
    ) AS strange
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What was to be seen when nothing ran any more."""

    not_ended: int
    faults: int
    ended_twice: int
    verdicts: dict[str, int]
    firings: dict[str, int]
    scenarios: dict[str, tuple[int, int]]
    services: str

    @classmethod
    async def seen(cls, pool: Pool, *, services: str) -> Ending:
        """Look into the database; ``services`` is what ``tcoord services`` said of the system."""
        return cls(
            not_ended=await pool.fetchval(NOT_ENDED),
            faults=await pool.fetchval(FAULTS),
            ended_twice=await pool.fetchval(STRANGE),
            verdicts={row["verdict"]: row["times"] for row in await pool.fetch(VERDICTS)},
            firings={row["state"]: row["times"] for row in await pool.fetch(FIRINGS)},
            scenarios={
                row["name"]: (row["times"], row["held"]) for row in await pool.fetch(BY_SCENARIO)
            },
            services=services,
        )

    def write(self, folder: Path) -> None:
        """Write it to `ending.json`."""
        (folder / "ending.json").write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Ending:
        """Return what `write` has written."""
        known = json.loads((folder / "ending.json").read_text("utf-8"))
        known["scenarios"] = {name: tuple(each) for name, each in known["scenarios"].items()}
        return cls(**known)


def judged(samples: Samples, ending: Ending) -> tuple[str, bool]:
    """Return what is to be printed, and whether all is within the limits."""
    span = Span.of(samples)
    measures = [*_of_processes(samples, span), _of_lives(samples), *_of_stores(samples, span)]
    ends = [*_ends(ending), _children(samples)]
    lines = [
        _headline(span),
        f"{'':41}{'first':>8}{'last':>8}  {'growth':<18}{'slope an hour (95 %)':<26}limit",
        *(measure.line() for measure in measures),
        *_work(samples, span, ending),
        *(f"{'ok  ' if well else 'FAIL'} {text}" for text, well in ends),
    ]
    well = all(each for _, each in ends)
    if span.length_s < JUDGED_S_MIN:
        lines.append(f"too short to say what grows: that takes {JUDGED_S_MIN / 60:.0f} min")
    else:
        well = well and all(measure.is_well for measure in measures)
    lines.append("PASS" if well else "FAIL")
    return "\n".join(lines), well


def _headline(span: Span) -> str:
    length, window = span.length_s / 60, span.window_s / 60
    after = f"the first after a warm-up of {span.warm_s / 60:.1f} min"
    return f"{length:.0f} min; medians of {window:.1f} min, {after}, and the last"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """How long it was, in seconds: all, what is left out at the begin, and what is compared."""

    length_s: float
    warm_s: float
    window_s: float

    @classmethod
    def of(cls, samples: Samples) -> Span:
        """Return the span of ``samples``; a short one is divided likewise."""
        length_s = samples.stores[-1].at_s
        warm_s = min(WARM_S_MAX, length_s / 4)
        return cls(
            length_s=length_s,
            warm_s=warm_s,
            window_s=min(WINDOW_S_MAX, (length_s - warm_s) / 3),
        )

    def first(self, points: Points) -> list[float]:
        """Return the values of the first window."""
        return [v for at_s, v in points if self.warm_s <= at_s < self.warm_s + self.window_s]

    def last(self, points: Points) -> list[float]:
        """Return the values of the last window."""
        return [v for at_s, v in points if at_s >= self.length_s - self.window_s]

    def warm(self, points: Points) -> Points:
        """Return what follows the warm-up."""
        return [(at_s, v) for at_s, v in points if at_s >= self.warm_s]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Something that must not grow beyond both ``share`` of what it was, and ``most``.

    ``slope`` is how much it grows in an hour, with the interval that holds it in 95 of 100 cases.
    """

    name: str
    unit: str
    first: float
    last: float
    slope: tuple[float, float, float]
    share: float
    most: float

    @property
    def allowed(self) -> float:
        """How much more is well: of memory the smaller bound, of what is counted at least one."""
        if self.unit:
            return min(self.share * self.first, self.most)
        return max(self.share * self.first, self.most)

    @property
    def is_well(self) -> bool:
        """Tell whether it has not grown too much."""
        return self.last - self.first <= self.allowed

    def line(self) -> str:
        """Return its line of the table."""
        growth = self.last - self.first
        said = f"{growth:+.1f} ({growth / self.first:+.1%})" if self.first else f"{growth:+.1f}"
        middle, low, high = self.slope
        slope = f"{middle:+.2f} ({low:+.2f} to {high:+.2f})"
        name = f"{self.name}{', ' if self.unit else ''}{self.unit}"
        return (
            f"{'ok  ' if self.is_well else 'FAIL'} {name:36}{self.first:8.1f}{self.last:8.1f}"
            f"  {said:<18}{slope:<26}{self.allowed:+.1f}"
        )


def slope_an_hour(points: Points) -> tuple[float, float, float]:
    """Return the slope by Theil and Sen, and the interval that holds it in 95 of 100 cases.

    That of the medians of minutes: samples that follow each other at once hang together, and the
    interval would be too narrow.
    """
    minutes: dict[int, list[float]] = {}
    for at_s, value in points:
        minutes.setdefault(int(at_s // 60), []).append(value)
    middles = [(minute, median(values)) for minute, values in sorted(minutes.items())]
    slopes = sorted(
        60 * (late - early) / (to - begin)
        for (begin, early), (to, late) in combinations(middles, 2)
    )
    if not slopes:
        return 0.0, 0.0, 0.0
    count = len(middles)
    spread = NORMAL_95 * sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, int((len(slopes) - spread) / 2))
    high = min(len(slopes) - 1, int((len(slopes) + spread) / 2) + 1)
    return median(slopes), slopes[low], slopes[high]


def _of_processes(samples: Samples, span: Span) -> Iterator[Measure]:
    for name in STEADY:
        of_it = [one for one in samples.processes if one.name == name]
        for what, unit, share, most in (
            ("uss_mib", "MiB", MEMORY_SHARE, MEMORY_MIB),
            ("fds", "", COUNT_SHARE, COUNT),
            ("threads", "", COUNT_SHARE, COUNT),
        ):
            points = [(one.at_s, float(getattr(one, what))) for one in of_it]
            word = f"{name}: {WORDS[what]}"
            yield _measure(word, points, span, unit=unit, share=share, most=most)


def _of_lives(samples: Samples) -> Measure:
    """Compare the memory of those that replaced each other, each in the last part of its life."""
    lives: dict[int, list[tuple[float, float]]] = {}
    for one in samples.processes:
        if one.name == REPLACED:
            lives.setdefault(one.pid, []).append((one.at_s, one.uss_mib))
    whole = [life for life in lives.values() if life[-1][0] - life[0][0] > 0.8 * _longest(lives)]
    late = [(life[-1][0], median(v for _, v in life[len(life) // 2 :])) for life in whole]
    third = max(1, len(late) // 3)
    return Measure(
        name=f"{len(late)} workers one after the other",
        unit="MiB",
        first=median(v for _, v in late[:third]),
        last=median(v for _, v in late[-third:]),
        slope=slope_an_hour(late),
        share=MEMORY_SHARE,
        most=MEMORY_MIB,
    )


def _longest(lives: Mapping[int, Points]) -> float:
    return max(life[-1][0] - life[0][0] for life in lives.values())


def _of_stores(samples: Samples, span: Span) -> Iterator[Measure]:
    for name in ("postgres", "valkey"):
        points = [(s.at_s, float(getattr(s, f"{name}_connections"))) for s in samples.stores]
        word = "PostgreSQL" if name == "postgres" else "Valkey"
        yield _measure(
            f"connections of {word}", points, span, unit="", share=COUNT_SHARE, most=COUNT
        )


def _measure(
    name: str, points: Points, span: Span, *, unit: str, share: float, most: float
) -> Measure:
    return Measure(
        name=name,
        unit=unit,
        first=median(span.first(points)),
        last=median(span.last(points)),
        slope=slope_an_hour(span.warm(points)),
        share=share,
        most=most,
    )


def _work(samples: Samples, span: Span, ending: Ending) -> Iterator[str]:
    """Say what was done meanwhile, and what it left in the stores."""
    first, last = samples.stores[0], samples.stores[-1]
    total = sum(ending.verdicts.values())
    verdicts = ", ".join(f"{verdict} {times:,}" for verdict, times in ending.verdicts.items())
    yield f"     executions: {total:,} ended ({verdicts}), {last.taken_over:,} taken over"
    for word, window in (("first", span.first), ("last", span.last)):
        ended = window([(one.at_s, float(one.ended)) for one in samples.stores])
        used = window([(one.at_s, one.cpu_s) for one in samples.processes if one.name == STAYS])
        share = (used[-1] - used[0]) / span.window_s
        rate = 60 * (ended[-1] - ended[0]) / span.window_s
        yield f"     {word} window: {rate:.0f} a minute; the worker that stays took {share:.0%} CPU"
    done = max(1, last.ended - first.ended)
    for word, grown, end in (
        ("database", last.database_mib - first.database_mib, last.database_mib),
        ("Valkey", last.valkey_mib - first.valkey_mib, last.valkey_mib),
    ):
        each = 1024 * grown / done
        yield f"     {word}: {end:.0f} MiB at the end, {each:.1f} KiB more for each execution"


def _children(samples: Samples) -> tuple[str, bool]:
    """Look at the children of the worker that stays: services that it started, and calls."""
    most = max(one.children for one in samples.processes if one.name == STAYS)
    text = f"{most} child processes at most, of {SERVICES} services and what calls take"
    return text, most <= SERVICES + CALLS


def _ends(ending: Ending) -> Iterator[tuple[str, bool]]:
    ill = [line for line in ending.services.splitlines() if "healthy" not in line.split()]
    yield f"{ending.not_ended} executions have not ended", not ending.not_ended
    yield f"{ending.ended_twice} have ended more than once", not ending.ended_twice
    yield f"{ending.faults} faults are left", not ending.faults
    residue = ending.verdicts.get("residue", 0)
    yield f"{residue} undos could not be verified", not residue
    yield f"{len(ill)} of {len(ending.services.splitlines())} services are not well", not ill

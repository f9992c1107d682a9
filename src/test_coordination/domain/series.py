"""The samples of one probe in the order of time, and the figures that checks ask of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final

from test_coordination.domain.evidence import Sample
from test_coordination.domain.expressions import Kind

MISSING: Final = object()
"""What stands for a figure that the samples do not give."""

QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of ``ordered`` (sorted, not empty) lies.

    Between two samples it is interpolated in a straight line: definition 7 of Hyndman and Fan,
    Sample Quantiles in Statistical Packages, The American Statistician 50 (1996) 361-365.
    """
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


_FIGURES: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "min": min,
    "max": max,
    "mean": lambda values: sum(values) / len(values),
    **{
        name: lambda values, share=share: quantile(sorted(values), share)  # type: ignore[misc]  # a lambda's default has no annotation
        for name, share in QUANTILES.items()
    },
}


class Series:
    """The samples of one probe; they are added in the order in which they began."""

    def __init__(self, measured: str, unit: str = "") -> None:
        """Keep samples whose numeric field ``measured`` the figures are made of.

        ``unit`` ends the names of the figures: ``p95_ms`` where it is ``ms``.
        """
        self._measured = measured
        self._suffix = f"_{unit}" if unit else ""
        self._samples: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Append ``sample``, which began after all the others."""
        self._samples.append(sample)

    def since(self, start: datetime | None) -> Sequence[Sample]:
        """Return the samples that began at ``start`` or later."""
        if start is None:
            return self._samples
        return self._samples[bisect_left(self._samples, start, key=attrgetter("at")) :]

    def figure(self, name: str, *, start: datetime | None = None) -> object:
        """Return the figure of that name over the samples from ``start`` on, or `MISSING`."""
        samples = self.since(start)
        if name.startswith("last."):
            if not samples or samples[-1].missing:
                return MISSING
            return samples[-1].fields.get(name.removeprefix("last."), MISSING)
        if name == "count":
            return sum(not sample.missing for sample in samples)
        if name == "missing":
            return sum(sample.missing for sample in samples)
        if name == "rate":
            return self._rate(samples)
        values = [value for _, value in self._values(samples)]
        return _FIGURES[name.removesuffix(self._suffix)](values) if values else MISSING

    def _values(self, samples: Sequence[Sample]) -> list[tuple[datetime, float]]:
        return [
            (sample.at, float(value))
            for sample in samples
            if isinstance(value := sample.fields.get(self._measured), int | float)
        ]

    def _rate(self, samples: Sequence[Sample]) -> object:
        values = self._values(samples)
        if len(values) < 2 or (span := values[-1][0] - values[0][0]).total_seconds() <= 0:  # noqa: PLR2004  a slope has two ends
            return MISSING
        return (values[-1][1] - values[0][1]) / span.total_seconds()


def figures(fields: Mapping[str, Kind], unit: str = "") -> dict[str, Kind]:
    """Return the names that `Series.figure` knows, and the kind of value behind each."""
    suffix = f"_{unit}" if unit else ""
    return {
        **{f"last.{name}": kind for name, kind in fields.items()},
        "count": Kind.INTEGER,
        "missing": Kind.INTEGER,
        "rate": Kind.NUMBER,
        **{f"{name}{suffix}": Kind.NUMBER for name in _FIGURES},
    }

"""The samples of one probe in the order of time, and the figures that checks ask of them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import isnan
from operator import attrgetter
from typing import Final, TypeAlias

from test_coordination.domain.evidence import Sample
from test_coordination.domain.expressions import Kind

MISSING: Final = object()
"""What stands for a figure that the samples do not give."""

QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}

WINDOWS_KEPT: Final = 16
# From so many new values on, sorting them all is faster than placing one after the other.
SORTED_AT_ONCE_MIN: Final = 32

_Bounds: TypeAlias = tuple[datetime | None, datetime | None]


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of ``ordered`` (sorted, not empty) lies.

    Between two samples it is interpolated in a straight line: definition 7 of Hyndman and Fan,
    Sample Quantiles in Statistical Packages, The American Statistician 50 (1996) 361-365.
    """
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


class _Window:
    """What is kept of the samples in one window, so that none has to be looked at twice.

    ``ordered`` are the measured values by size; ``first`` and ``last`` those by time.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.missing = 0
        self.ordered: list[float] = []
        self._sum = 0.0
        self._first: tuple[datetime, float] | None = None
        self._last: tuple[datetime, float] | None = None

    def take(self, samples: Sequence[Sample], measured: str) -> None:
        """Take in ``samples``, which began after all those taken in before."""
        self.samples += len(samples)
        self.missing += sum(sample.missing for sample in samples)
        values = [(at, value) for at, value in _values(samples, measured) if not isnan(value)]
        if not values:
            return
        self._first = self._first or values[0]
        self._last = values[-1]
        fresh = [value for _, value in values]
        self._sum += sum(fresh)
        if len(fresh) < SORTED_AT_ONCE_MIN:
            for value in fresh:
                insort(self.ordered, value)
        else:
            self.ordered = sorted(self.ordered + fresh)

    def mean(self) -> float:
        return self._sum / len(self.ordered)

    def rate(self) -> object:
        if self._first is None or self._last is None:
            return MISSING
        span = (self._last[0] - self._first[0]).total_seconds()
        return (self._last[1] - self._first[1]) / span if span > 0 else MISSING


# None of these is asked of a window without values.
_FIGURES: Final[Mapping[str, Callable[[_Window], float]]] = {
    "min": lambda window: window.ordered[0],
    "max": lambda window: window.ordered[-1],
    "mean": _Window.mean,
    **{
        name: lambda window, share=share: quantile(window.ordered, share)  # type: ignore[misc]  # a lambda's default has no annotation
        for name, share in QUANTILES.items()
    },
}


class Series:
    """The samples of one probe; they are added in the order in which they began.

    A window is from a start, inclusive, to an end, exclusive, by when a sample began; None leaves
    that side open. What was computed of the ``WINDOWS_KEPT`` windows last asked for is kept and
    carried on: asking again costs time only for the samples added since. So leave the end of a
    window open while it is not known, rather than to ask for one that ends now.
    """

    def __init__(self, measured: str, unit: str = "") -> None:
        """Keep samples whose numeric field ``measured`` the figures are made of.

        ``unit`` ends the names of the figures: ``p95_ms`` where it is ``ms``.
        """
        self._measured = measured
        self._suffix = f"_{unit}" if unit else ""
        self._samples: list[Sample] = []
        self._windows: dict[_Bounds, _Window] = {}

    def add(self, sample: Sample) -> None:
        """Append ``sample``, which began after all the others."""
        self._samples.append(sample)

    def between(
        self, start: datetime | None = None, end: datetime | None = None
    ) -> Sequence[Sample]:
        """Return the samples that began at ``start`` or later, and before ``end``."""
        first, after = self._places((start, end))
        return self._samples[first:after]

    def newest(self, start: datetime | None = None, end: datetime | None = None) -> Sample | None:
        """Return the last sample that began at ``start`` or later, and before ``end``, if any.

        However many there are, it takes no longer.
        """
        first, after = self._places((start, end))
        return self._samples[after - 1] if after > first else None

    def figure(
        self, name: str, *, start: datetime | None = None, end: datetime | None = None
    ) -> object:
        """Return the figure of that name over the samples in a window, or `MISSING`."""
        if name.startswith("last."):
            return self._last(name.removeprefix("last."), (start, end))
        window = self._window((start, end))
        if name == "count":
            return window.samples - window.missing
        if name == "missing":
            # That no look failed where there was none would be true of nothing.
            return window.missing if window.samples else MISSING
        if name == "rate":
            return window.rate()
        figure = _FIGURES[name.removesuffix(self._suffix)]
        return figure(window) if window.ordered else MISSING

    def _places(self, bounds: _Bounds) -> tuple[int, int]:
        start, end = bounds
        began = attrgetter("at")
        first = 0 if start is None else bisect_left(self._samples, start, key=began)
        after = len(self._samples) if end is None else bisect_left(self._samples, end, key=began)
        return first, max(first, after)

    def _last(self, field: str, bounds: _Bounds) -> object:
        newest = self.newest(*bounds)
        if newest is None or newest.missing:
            return MISSING
        return newest.fields.get(field, MISSING)

    def _window(self, bounds: _Bounds) -> _Window:
        window = self._windows.pop(bounds, None) or _Window()
        first, after = self._places(bounds)
        window.take(self._samples[first + window.samples : after], self._measured)
        self._windows[bounds] = window
        if len(self._windows) > WINDOWS_KEPT:
            del self._windows[next(iter(self._windows))]
        return window


def _values(samples: Sequence[Sample], measured: str) -> list[tuple[datetime, float]]:
    return [
        (sample.at, float(value))
        for sample in samples
        if isinstance(value := sample.fields.get(measured), int | float)
    ]


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

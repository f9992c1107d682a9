"""The functions that expressions have beside CEL's own, and what is said about them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from itertools import product
from typing import Any, Final, TypeAlias

from cel_expr_python import cel

from test_coordination.domain.series import quantile

DIGITS_MAX: Final = 15

# Above this a fraction has no digits behind the point, and rounding to some would change nothing.
_WHOLE_MIN: Final = 2.0**53
_EXACT: Final = Context(prec=400)

_NUMBERS: Final = (cel.Type.INT, cel.Type.DOUBLE)
_LIST: Final = cel.Type("list<dyn>")

_Implementation: TypeAlias = Callable[..., object]
_Overload: TypeAlias = tuple[tuple[Any, ...], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomFunction:
    """One function as its users see it, and how it is done.

    A ``number`` in ``signatures`` is an integer or a fraction; both may be mixed. Of ``overloads``
    each is the types of the parameters and that of the result.
    """

    name: str
    signatures: tuple[str, ...]
    description: str
    example: str
    overloads: tuple[_Overload, ...]
    implementation: _Implementation

    @property
    def of_lists(self) -> frozenset[str]:
        """The ids of the overloads that look at each item of a list."""
        return frozenset(
            self._id(number)
            for number, (parameters, _) in enumerate(self.overloads)
            if _LIST in parameters
        )

    def declaration(self) -> Any:
        """Return it as the library wants it declared."""
        overloads = [
            cel.Overload(
                id=self._id(number),
                parameters=list(parameters),
                return_type=result,
                impl=self.implementation,
            )
            for number, (parameters, result) in enumerate(self.overloads)
        ]
        return cel.FunctionDecl(self.name, overloads)

    def _id(self, number: int) -> str:
        return f"{self.name}_{number}"


def _numeric(count: int, result: Any = None) -> tuple[_Overload, ...]:
    """Return an overload for each way in which ``count`` parameters may be numbers.

    Without ``result`` they give an integer if all are integers, else a fraction.
    """
    return tuple(
        (kinds, result or (cel.Type.DOUBLE if cel.Type.DOUBLE in kinds else cel.Type.INT))
        for kinds in product(_NUMBERS, repeat=count)
    )


def _items(values: Sequence[object]) -> list[float]:
    items: list[float] = []
    for place, item in enumerate(values):
        if isinstance(item, bool) or not isinstance(item, int | float):
            text = f"item {place} of the list is no number; give a list of numbers"
            raise TypeError(text)
        items.append(item)
    return items


def _some(values: Sequence[object]) -> list[float]:
    items = _items(values)
    if not items:
        text = "the list is empty; ask for its size first"
        raise ValueError(text)
    return items


def _round(value: float) -> int:
    return value if isinstance(value, int) else int(_round_to(value, 0))


def _round_to(value: float, digits: int) -> float:
    if not -DIGITS_MAX <= digits <= DIGITS_MAX:
        text = f"round to {digits} digits; {-DIGITS_MAX} to {DIGITS_MAX} are possible"
        raise ValueError(text)
    if not math.isfinite(value) or (abs(value) >= _WHOLE_MIN and digits >= 0):
        return value
    place = Decimal(1).scaleb(-digits)
    return float(Decimal(repr(value)).quantize(place, rounding=ROUND_HALF_UP, context=_EXACT))


def _percent_of(part: float, whole: float) -> float:
    if whole == 0:
        text = "percent_of has a whole of 0; ask whether it is more than 0 first"
        raise ValueError(text)
    return part / whole * 100


def _near(left: float, right: float, tolerance: float) -> bool:
    return left == right or abs(left - right) <= tolerance


def _seconds(duration: timedelta) -> float:
    return duration.total_seconds()


def _least(first: Any, *other: float) -> float:
    return min(first, *other) if other else float(min(_some(first)))


def _greatest(first: Any, *other: float) -> float:
    return max(first, *other) if other else float(max(_some(first)))


def _sum(values: Sequence[object]) -> float:
    return math.fsum(_items(values))


def _mean(values: Sequence[object]) -> float:
    items = _some(values)
    return math.fsum(items) / len(items)


def _percentile(values: Sequence[object], share: float) -> float:
    if not 0 <= share <= 1:
        text = f"percentile has a share of {share}; it is from 0 to 1, such as 0.95"
        raise ValueError(text)
    return quantile(sorted(map(float, _some(values))), share)


FUNCTIONS: Final = (
    CustomFunction(
        name="abs",
        signatures=("abs(integer) -> integer", "abs(number) -> number"),
        description="The distance from zero.",
        example="abs(snapshots.after.books.total - snapshots.before.books.total) < 5",
        overloads=_numeric(1),
        implementation=abs,
    ),
    CustomFunction(
        name="ceil",
        signatures=("ceil(number) -> integer",),
        description="The smallest integer that is not less.",
        example="ceil(2.1) == 3",
        overloads=_numeric(1, cel.Type.INT),
        implementation=math.ceil,
    ),
    CustomFunction(
        name="floor",
        signatures=("floor(number) -> integer",),
        description="The largest integer that is not greater.",
        example="floor(2.9) == 2",
        overloads=_numeric(1, cel.Type.INT),
        implementation=math.floor,
    ),
    CustomFunction(
        name="max",
        signatures=("max(number, number) -> number", "max(list) -> number"),
        description="The greater of two numbers, or the greatest in a list of them.",
        example="max(probes.latency.p95_ms, 10) < 250",
        overloads=(*_numeric(2), ((_LIST,), cel.Type.DOUBLE)),
        implementation=_greatest,
    ),
    CustomFunction(
        name="mean",
        signatures=("mean(list) -> number",),
        description="The arithmetic mean of a list of numbers; an empty list has none.",
        example="mean([1, 2, 6]) == 3",
        overloads=(((_LIST,), cel.Type.DOUBLE),),
        implementation=_mean,
    ),
    CustomFunction(
        name="min",
        signatures=("min(number, number) -> number", "min(list) -> number"),
        description="The lesser of two numbers, or the least in a list of them.",
        example="min([3, 1.5, 2]) == 1.5",
        overloads=(*_numeric(2), ((_LIST,), cel.Type.DOUBLE)),
        implementation=_least,
    ),
    CustomFunction(
        name="near",
        signatures=("near(number, number, tolerance: number) -> boolean",),
        description="Whether two numbers lie no further apart than the tolerance.",
        example="near(probes.orders.rate, 100, 2.5)",
        overloads=_numeric(3, cel.Type.BOOL),
        implementation=_near,
    ),
    CustomFunction(
        name="percent_of",
        signatures=("percent_of(part: number, whole: number) -> number",),
        description="How many percent of the whole the part is; a whole of 0 is an error.",
        example="percent_of(probes.orders.missing, probes.orders.count) < 1",
        overloads=_numeric(2, cel.Type.DOUBLE),
        implementation=_percent_of,
    ),
    CustomFunction(
        name="percentile",
        signatures=("percentile(list, share: number) -> number",),
        description="The value below which a share (0 to 1) of a list of numbers lies.",
        example="percentile([1, 2, 3, 4], 0.5) == 2.5",
        overloads=tuple(((_LIST, kind), cel.Type.DOUBLE) for kind in _NUMBERS),
        implementation=_percentile,
    ),
    CustomFunction(
        name="round",
        signatures=("round(number) -> integer", "round(number, digits: integer) -> number"),
        description="The nearest integer, or number with so many digits; halves away from zero.",
        example="round(2.675, 2) == 2.68",
        overloads=(
            *_numeric(1, cel.Type.INT),
            *(((kind, cel.Type.INT), cel.Type.DOUBLE) for kind in _NUMBERS),
        ),
        implementation=lambda value, *digits: (
            _round_to(float(value), *digits) if digits else _round(value)
        ),
    ),
    CustomFunction(
        name="seconds",
        signatures=("seconds(duration) -> number",),
        description="How many seconds a duration has.",
        example="seconds(duration('1m30s')) == 90",
        overloads=(((cel.Type.DURATION,), cel.Type.DOUBLE),),
        implementation=_seconds,
    ),
    CustomFunction(
        name="sum",
        signatures=("sum(list) -> number",),
        description="The sum of a list of numbers; that of an empty list is 0.",
        example="sum([1, 2, 0.5]) == 3.5",
        overloads=(((_LIST,), cel.Type.DOUBLE),),
        implementation=_sum,
    ),
)
"""All of them, by name: documentation, completion and checks are made from it."""

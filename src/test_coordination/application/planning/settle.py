"""Turn what an author wrote into values: expressions evaluated, services found, bounds kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, assert_never

from test_coordination.application.capabilities import Catalogue, Parameterised
from test_coordination.application.planning.literals import with_each
from test_coordination.application.ports import Expressions
from test_coordination.domain.errors import CoordinationError, InvalidDocumentError, Mark, Problem
from test_coordination.domain.expressions import (
    Expression,
    Fact,
    Interpolation,
    InvalidExpressionError,
    Kind,
    Names,
    as_text,
)
from test_coordination.domain.plan import PlannedCondition, ProtectedTargetError
from test_coordination.domain.secrets import secret_paths
from test_coordination.domain.steps import COPIES_MAX, Moment, Text
from test_coordination.domain.topology import Topology, UnknownServiceError
from test_coordination.domain.values import (
    DURATION_EXPECTED,
    ServiceName,
    StepId,
    Value,
    format_duration,
    parse_duration,
)

MOMENT_MAX: Final = timedelta(days=1)
LONG: Final = 512
"""A condition of so many characters counts twice."""
TIME_MIN: Final = timedelta(milliseconds=1)
NO_TIME: Final = timedelta(0)
_REFUSED: Final = timedelta(seconds=1)


@dataclass(slots=True, kw_only=True)
class Allowance:
    """How much may still be settled, with all copies and scenarios that run each other.

    ``values`` are those of parameters, ``evaluations`` those of expressions, and ``characters``
    those of conditions. Whatever copies multiply is bounded here.
    """

    values: int = 200_000
    evaluations: int = 20_000
    characters: int = 192 * 1024

    @property
    def is_exceeded(self) -> bool:
        """Whether more was settled than is allowed."""
        return min(self.values, self.evaluations, self.characters) < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settler:
    """Settles one scenario; what is wrong is collected in ``problems`` and a filler returned.

    ``names`` and ``values`` are those known before the start, ``secrets`` the names whose values
    are placeholders, ``live`` all that a condition may use. ``each`` is what a copy of a step
    stands for, empty outside of copies. ``mark`` is the scenario's place. ``read`` grows by the
    names whose values were used.

    Raises:
        InvalidDocumentError: by any method, with all that was wrong so far: the ``allowance`` is
            used up.
    """

    catalogue: Catalogue
    expressions: Expressions
    topology: Topology
    names: Names
    secrets: Names = field(default_factory=dict)
    live: Names
    values: Mapping[str, Fact]
    each: Mapping[str, Value] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    mark: Mark
    allowance: Allowance = field(default_factory=Allowance)

    def inside(self, each: Mapping[str, Value]) -> Settler:
        """Return one that also knows ``each``, and notes its problems in the same list."""
        if not each:
            return self
        known = {f"each.{name}": Kind.INTEGER if name == "index" else Kind.ANY for name in each}
        values = {f"each.{name}": value for name, value in each.items()}
        return replace(
            self,
            names={**self.names, **known},
            values={**self.values, **values},
            each={**self.each, **each},
        )

    def moment(
        self,
        moment: Moment,
        mark: Mark,
        *,
        least: timedelta = NO_TIME,
        most: timedelta = MOMENT_MAX,
    ) -> timedelta:
        """Return the duration that ``moment`` stands for, within ``least`` and ``most``."""
        value: timedelta | None
        if isinstance(moment, Expression):
            value, mark = self._duration(moment), moment.mark
        else:
            value = moment
        if value is None:
            return _REFUSED
        if not least <= value <= most:
            bounds = f"{format_duration(least)} to {format_duration(most)}"
            text = f"a duration of {format_duration(value)}; expected {bounds}"
            self.refuse(mark, "value.out_of_range", text)
        return value

    def count(self, count: int | Expression, mark: Mark) -> int:
        """Return how many times that is, from 1 to ``COPIES_MAX``."""
        if isinstance(count, Expression):
            value, mark = self._value(count, Kind.INTEGER), count.mark
        else:
            value = count
        if value is None:
            return 1
        if not isinstance(value, int) or not 1 <= value <= COPIES_MAX:
            text = f"{as_text(value)} times; expected a whole number from 1 to {COPIES_MAX}"
            self.refuse(mark, "value.out_of_range", text)
            return 1
        return value

    def items(self, axis: Expression | tuple[object, ...]) -> tuple[Value, ...]:
        """Return the values that a step is copied for."""
        if isinstance(axis, Expression):
            values = self._value(axis, Kind.LIST)
            return values if isinstance(values, tuple) else ()
        return tuple(self._item(item) for item in axis)

    def service(self, name: Text, mark: Mark) -> ServiceName:
        """Return the service that ``name`` stands for, if the topology has it."""
        before = len(self.problems)
        found = self.text(name)
        try:
            return self.topology.service(found).name
        except UnknownServiceError as error:
            if len(self.problems) == before:
                self.refuse(mark, error.code, str(error))
            return ServiceName(found)

    def text(self, text: Text) -> str:
        """Return ``text`` with its expressions replaced by what they stand for."""
        match text:
            case str():
                return text
            case Expression():
                return as_text(self._value(text, Kind.ANY))
            case Interpolation(parts=parts):
                return "".join(map(self.text, parts))
            case _:
                assert_never(text)

    def parameters(
        self, parameters: Mapping[str, object], kind: Parameterised, mark: Mark
    ) -> Mapping[str, object]:
        """Return ``parameters`` as JSON can carry them, accepted by ``kind``.

        What has a secret in it is looked at only when it is used.
        """
        before = len(self.problems)
        settled = self.given(parameters)
        if len(self.problems) == before:
            unknown = frozenset(secret_paths(settled))
            for problem in kind.problems(settled, unknown=unknown):
                where = ".".join(map(str, problem.path))
                self.refuse(mark, "parameter.invalid", f"{where}: {problem.text}")
        return settled

    def given(self, parameters: Mapping[str, object]) -> Mapping[str, object]:
        """Return ``parameters`` as JSON can carry them; for a secret its placeholder stands."""
        opened = replace(self, names={**self.names, **self.secrets})
        return {name: opened.settled(value) for name, value in parameters.items()}

    def settled(self, value: object) -> object:
        """Return ``value``, as an author wrote it, without expressions, as JSON can carry it."""
        self.allowance.values -= 1
        self._check_allowance()
        match value:
            case Expression():
                return plain(self._value(value, Kind.ANY))
            case Interpolation():
                return self.text(value)
            case Mapping():
                return {str(key): self.settled(inner) for key, inner in value.items()}
            case list() | tuple():
                return [self.settled(inner) for inner in value]
            case _:
                return value

    def condition(self, expression: Expression) -> PlannedCondition:
        """Return a condition that is evaluated later; what is wrong with it is noted."""
        before = len(self.problems)
        known = self.filled(expression)
        if len(self.problems) == before:
            try:
                self.expressions.compile(known, self.live, expected=Kind.BOOLEAN)
            except InvalidExpressionError as error:
                self.problems.append(error.problem)
        return PlannedCondition(expression=known.text, mark=known.mark)

    def filled(self, expression: Expression) -> Expression:
        """Return ``expression`` with what `each` stands for put in."""
        # A long one takes longer than many short ones that are as long together.
        length = len(expression.text)
        self.allowance.characters -= length + length * length // LONG
        self._check_allowance()
        try:
            return with_each(expression, self.each)
        except InvalidExpressionError as error:
            self.problems.append(error.problem)
            return expression

    def unprotected(self, service: ServiceName, step: StepId, mark: Mark) -> None:
        """Refuse to aim a fault at a service that the topology protects."""
        found = self.topology.services.get(service)
        if found is not None and found.protect:
            error = ProtectedTargetError(step=step, service=service, mark=mark)
            self.refuse(mark, error.code, str(error).removeprefix(f"{mark}: "))

    def refuse(self, mark: Mark, code: str, text: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(mark=mark, code=code, text=text))

    def _check_allowance(self) -> None:
        if self.allowance.is_exceeded:
            text = "with all its copies the scenario holds more expressions or values than can be "
            text += "planned in a second; copy less, or take what is long out of what is copied"
            self.refuse(self.mark, "plan.too_large", text)
            self.settle()

    def settle(self) -> None:
        """End the planning if anything was wrong.

        Raises:
            InvalidDocumentError: there are problems; all at once, in the order of the file.
        """
        if self.problems:
            found = sorted(dict.fromkeys(self.problems), key=lambda problem: problem.mark)
            raise InvalidDocumentError(problems=tuple(found))

    def _item(self, item: object) -> Value:
        if isinstance(item, Expression):
            return self._value(item, Kind.ANY)
        return fact(item if isinstance(item, str | int | float) else self.settled(item))

    def _duration(self, expression: Expression) -> timedelta | None:
        """Return a duration; what `each` stands for may spell one."""
        found = self._value(expression, Kind.DURATION, spelled=True)
        value = parse_duration(found) if isinstance(found, str) else found
        if isinstance(value, timedelta):
            return value
        if found is not None:
            text = f"{expression.text!r} is {as_text(found)} here; expected {DURATION_EXPECTED}"
            self.refuse(expression.mark, "value.not_a_duration", text)
        return None

    def _value(self, expression: Expression, kind: Kind, *, spelled: bool = False) -> Value:
        self.allowance.evaluations -= 1
        self._check_allowance()
        try:
            program = self.expressions.compile(expression, self.names, expected=kind)
            hidden = program.names & self.secrets.keys()
            if hidden and expression.text.strip() not in hidden:
                text = f"{expression.text!r} computes something from a secret; use it as it is"
                self.refuse(expression.mark, "secret.computed", text)
                return None
            if spelled and any(name.startswith("each.") for name in program.names):
                program = self.expressions.compile(expression, self.names, expected=Kind.ANY)
            self.read.update(program.names)
            return program.evaluate(self.values)
        except InvalidExpressionError as error:
            self.problems.append(error.problem)
        except CoordinationError as error:
            text = f"{expression.text!r} has no value here: {error}"
            self.refuse(expression.mark, error.code, text)
        return None


def plain(value: Value) -> object:
    """Return ``value`` as JSON can carry it."""
    match value:
        case timedelta():
            return format_duration(value)
        case Mapping():
            return {key: plain(inner) for key, inner in value.items()}
        case tuple():
            return [plain(inner) for inner in value]
        case _:
            return value


def fact(value: object) -> Value:
    """Return what JSON carries as a value that an expression can use."""
    match value:
        case Mapping():
            return {str(key): fact(inner) for key, inner in value.items()}
        case list():
            return tuple(fact(inner) for inner in value)
        case _:
            assert isinstance(value, str | int | float | None), f"not from JSON: {value!r}"
            return value

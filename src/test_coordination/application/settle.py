"""Turn what an author wrote into values: expressions evaluated, targets found, bounds kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, assert_never

from test_coordination.application.capabilities import Catalogue, Parameterised
from test_coordination.application.ports import Expressions
from test_coordination.domain.errors import CoordinationError, Mark, Problem
from test_coordination.domain.expressions import (
    Expression,
    Fact,
    Interpolation,
    InvalidExpressionError,
    Kind,
    Names,
    as_text,
)
from test_coordination.domain.plan import ProtectedTargetError
from test_coordination.domain.steps import Moment, Text
from test_coordination.domain.topology import Topology, UnknownServiceError
from test_coordination.domain.values import ServiceName, StepId, Value, format_duration

MOMENT_MAX: Final = timedelta(days=1)
_NO_TIME: Final = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settler:
    """Settles one scenario; what is wrong is collected in ``problems`` and a filler returned.

    ``names`` and ``values`` are those known before the start, ``live`` all that a condition may
    use.
    """

    catalogue: Catalogue
    expressions: Expressions
    topology: Topology
    names: Names
    live: Names
    values: Mapping[str, Fact]
    problems: list[Problem] = field(default_factory=list)

    def moment(
        self,
        moment: Moment,
        mark: Mark,
        *,
        least: timedelta = _NO_TIME,
        most: timedelta = MOMENT_MAX,
    ) -> timedelta:
        """Return the duration that ``moment`` stands for, within ``least`` and ``most``."""
        if isinstance(moment, Expression):
            value = self._value(moment, Kind.DURATION)
            mark = moment.mark
        else:
            value = moment
        if not isinstance(value, timedelta):
            return timedelta(seconds=1)
        if not least <= value <= most:
            bounds = f"{format_duration(least)} to {format_duration(most)}"
            text = f"a duration of {format_duration(value)}; expected {bounds}"
            self._refuse(mark, "value.out_of_range", text)
        return value

    def service(self, name: Text, mark: Mark) -> ServiceName:
        """Return the service that ``name`` stands for, if the topology has it."""
        found = self.text(name)
        try:
            return self.topology.service(found).name
        except UnknownServiceError as error:
            self._refuse(mark, error.code, str(error))
            return ServiceName(found)

    def unprotected(self, service: ServiceName, step: StepId, mark: Mark) -> None:
        """Refuse to aim a fault at a service that the topology protects."""
        found = self.topology.services.get(service)
        if found is not None and found.protect:
            error = ProtectedTargetError(step=step, service=service, mark=mark)
            self._refuse(mark, error.code, str(error).removeprefix(f"{mark}: "))

    def unplannable(self, what: str, mark: Mark) -> None:
        """Refuse what no plan can hold yet."""
        self._refuse(mark, "plan.not_supported", f"{what} cannot be planned yet; leave it out")

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
        """Return ``parameters`` as JSON can carry them, accepted by ``kind``."""
        before = len(self.problems)
        settled = {name: self._settled(value) for name, value in parameters.items()}
        if len(self.problems) == before:
            for problem in kind.problems(settled):
                where = ".".join(map(str, problem.path))
                self._refuse(mark, "parameter.invalid", f"{where}: {problem.text}")
        return settled

    def condition(self, expression: Expression) -> None:
        """Note what is wrong with a condition that is evaluated later."""
        try:
            self.expressions.compile(expression, self.live, expected=Kind.BOOLEAN)
        except InvalidExpressionError as error:
            self.problems.append(error.problem)

    def _settled(self, value: object) -> object:
        match value:
            case Expression():
                return _plain(self._value(value, Kind.ANY))
            case Interpolation():
                return self.text(value)
            case Mapping():
                return {str(key): self._settled(inner) for key, inner in value.items()}
            case list() | tuple():
                return [self._settled(inner) for inner in value]
            case _:
                return value

    def _value(self, expression: Expression, kind: Kind) -> Value:
        try:
            program = self.expressions.compile(expression, self.names, expected=kind)
            return program.evaluate(self.values)
        except InvalidExpressionError as error:
            self.problems.append(error.problem)
        except CoordinationError as error:
            text = f"{expression.text!r} has no value here: {error}"
            self._refuse(expression.mark, error.code, text)
        return None

    def _refuse(self, mark: Mark, code: str, text: str) -> None:
        self.problems.append(Problem(mark=mark, code=code, text=text))


def _plain(value: Value) -> object:
    match value:
        case timedelta():
            return format_duration(value)
        case Mapping():
            return {key: _plain(inner) for key, inner in value.items()}
        case tuple():
            return [_plain(inner) for inner in value]
        case _:
            return value

"""What an author says of a function that is to be called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from test_coordination.adapters.isolation.calls import Allowance, Call
from test_coordination.adapters.parameters import Parameters, Typed
from test_coordination.adapters.shapes import BOUNDS, matching, shown_as
from test_coordination.application.capabilities import ParameterProblem
from test_coordination.application.routing import PYTHON
from test_coordination.domain.values import BYTES_EXPECTED, format_bytes, parse_bytes

MEMORY_LEAST: Final = 64 * 1024**2
MEMORY_MOST: Final = 64 * 1024**3
MEMORY_DEFAULT: Final = "512MiB"

_NAME: Final = "[A-Za-z_][A-Za-z0-9_]*"
_CALL: Final = rf"{_NAME}(?:\.{_NAME})*:{_NAME}(?:\.{_NAME})*"
_EXPECTED: Final = "a function such as shop_checks.orders:lost, with a colon before its name"
_SIZE: Final = {
    **matching(
        r"^[0-9]{1,19}(?:\.[0-9]{1,9})?(?:[KMGT]i?B|B)$", called="size", said=BYTES_EXPECTED
    ),
    BOUNDS: f"at least {format_bytes(MEMORY_LEAST)} and at most {format_bytes(MEMORY_MOST)}",
}


def _memory(value: object) -> object:
    size = parse_bytes(value) if isinstance(value, str) else None
    if size is None:
        raise PydanticCustomError("expected", "{expected}", {"expected": BYTES_EXPECTED})
    if not MEMORY_LEAST <= size <= MEMORY_MOST:
        raise PydanticCustomError("expected", "{expected}", {"expected": _SIZE[BOUNDS]})
    return size


class Asked(Parameters):
    """Which function is called, with what, and how much memory it may take."""

    call: Annotated[
        str,
        Field(pattern=f"^{_CALL}$"),
        WithJsonSchema(matching(f"^{_CALL}$", called="function", said=_EXPECTED)),
    ] = Field(
        description="the function: its package and module, a colon, and its name",
        examples=["shop_checks.orders:lost"],
    )
    arguments: Annotated[
        Mapping[str, object],
        WithJsonSchema({"type": "object", "additionalProperties": {}}),
    ] = Field(
        default_factory=dict,
        description="what it is called with, by the names of its parameters",
        examples=[{"since": "5m", "count": 2}],
    )
    memory: Annotated[int, BeforeValidator(_memory, json_schema_input_type=shown_as(_SIZE))] = (
        Field(
            default=MEMORY_DEFAULT,
            validate_default=True,
            description="how much memory its process may take, libraries and stacks included",
            examples=["2GiB"],
        )
    )

    def within(self, timeout: timedelta) -> Call:
        """Return the call, which may take ``timeout``."""
        return Call(
            call=self.call, arguments=self.arguments, timeout=timeout, memory_bytes=self.memory
        )


class Calling(Typed):
    """What takes the name of a function, and knows which may be called."""

    allowance: Allowance

    def problems(
        self,
        parameters: Mapping[str, object],
        *,
        unknown: frozenset[tuple[str | int, ...]] = frozenset(),
    ) -> Sequence[ParameterProblem]:
        """See `Parameterised.problems`; a function that may not be called is one."""
        found = super().problems(parameters, unknown=unknown)
        call = parameters.get("call")
        if any(problem.path == ("call",) for problem in found) or not isinstance(call, str):
            return found
        if ("call",) in unknown or not (text := self.allowance.problem(call)):
            return found
        return [*found, ParameterProblem(path=("call",), text=f"'call': {text}")]

    @property
    def grants(self) -> frozenset[str]:
        """See `Parameterised.grants`: the packages and modules that may be called."""
        return frozenset(f"{PYTHON} {one}" for one in self.allowance.named)

    def needs(self, parameters: Mapping[str, object]) -> frozenset[str]:
        """See `Parameterised.needs`: the module of the function."""
        module = str(parameters["call"]).partition(":")[0]
        return frozenset({f"{PYTHON} {module}"})

"""The parameters that a scenario declares, each held to its own bounds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from test_coordination.adapters.documents.document import Document, Location
from test_coordination.adapters.documents.forms.form import (
    NAME_EXPECTED,
    WORD_EXPECTED,
    fill,
    is_name,
    is_word,
)
from test_coordination.adapters.documents.forms.parameter import ParameterForm
from test_coordination.adapters.documents.patterns import TEXT_LENGTH_MAX, pattern_problem
from test_coordination.adapters.documents.words import alternatives, described, enumerated, shown
from test_coordination.domain.arguments import ITEMS_MAX, typed
from test_coordination.domain.parameters import Parameter, ParameterType
from test_coordination.domain.scenario import DocumentKind
from test_coordination.domain.secrets import SECRET_EXPECTED
from test_coordination.domain.values import (
    BYTES_EXPECTED,
    DURATION_EXPECTED,
    Value,
    format_bytes,
)

PARAMETERS_MAX: Final = 100

EXPECTED: Final[Mapping[ParameterType, str]] = {
    ParameterType.STRING: "a text",
    ParameterType.INTEGER: "an integer",
    ParameterType.NUMBER: "a number",
    ParameterType.BOOLEAN: "true or false",
    ParameterType.DURATION: DURATION_EXPECTED,
    ParameterType.PERCENT: "a share such as 50%",
    ParameterType.BYTES: BYTES_EXPECTED,
    ParameterType.SERVICE: f"a service: {NAME_EXPECTED}",
    ParameterType.ENUM: "a text",
    ParameterType.LIST: f"a list of at most {ITEMS_MAX} values",
    ParameterType.SECRET: SECRET_EXPECTED,
}
# Which of the keys belong to which types, or to lists of them.
_BOUNDED: Final = frozenset(
    {
        ParameterType.INTEGER,
        ParameterType.NUMBER,
        ParameterType.DURATION,
        ParameterType.PERCENT,
        ParameterType.BYTES,
    }
)
BELONGS: Final[Mapping[str, frozenset[ParameterType]]] = {
    "min": _BOUNDED,
    "max": _BOUNDED,
    "values": frozenset({ParameterType.ENUM}),
    "pattern": frozenset({ParameterType.STRING, ParameterType.SERVICE}),
}
SINGLE_TYPES: Final = tuple(kind for kind in ParameterType if kind is not ParameterType.LIST)
ITEM_TYPES: Final = tuple(kind for kind in SINGLE_TYPES if kind is not ParameterType.SECRET)
_LIST: Final = re.compile(r"list<(.*)>")


def read_parameters(document: Document, location: Location) -> tuple[Parameter, ...]:
    """Return what is declared at ``location``; every mistake is noted in ``document``."""
    entries = document.entries(location, "names with their parameters")
    if len(entries) > PARAMETERS_MAX:
        text = f"{len(entries)} parameters; at most {PARAMETERS_MAX} are allowed"
        document.refuse(location, "too_many", text, key=True)
    return tuple(_parameter(document, (*location, name)) for name in [*entries][:PARAMETERS_MAX])


def parameter_type(found: object) -> tuple[ParameterType, ParameterType | None] | None:
    """Return the type that ``found`` spells, and that of its items if it is a list of them."""
    if not isinstance(found, str):
        return None
    if (inner := _LIST.fullmatch(found)) is not None:
        items = next((kind for kind in ITEM_TYPES if kind == inner[1].strip()), None)
        return None if items is None else (ParameterType.LIST, items)
    kind = next((kind for kind in SINGLE_TYPES if kind == found), None)
    return None if kind is None else (kind, None)


def literal(kind: ParameterType, found: object, *, items: ParameterType | None = None) -> Value:
    """Return the value that ``found`` is for a parameter of that type; None if it is none."""
    if kind is ParameterType.SERVICE and not is_name(found):
        return None
    value = typed(kind, found, items=items)
    if items is ParameterType.SERVICE and isinstance(value, tuple):
        return value if all(map(is_name, value)) else None
    return value


def described_as(kind: ParameterType, value: Value) -> str:
    """Return a bound or value of a parameter of that type as it reads in a sentence."""
    return format_bytes(value) if kind is ParameterType.BYTES else described(value)  # type: ignore[arg-type]  # bytes are integers


def _parameter(document: Document, location: Location) -> Parameter:
    name = str(location[-1])
    if not is_word(name):
        text = f"{shown(name)} is no name of a parameter; write {WORD_EXPECTED}"
        document.refuse(location, "bad_name", text, key=True)
    content = document.at(location)
    if not isinstance(content, Mapping):
        # It may be a secret that was given to a misspelt name, and so it is never repeated.
        text = "a parameter with its type was expected, such as {type: integer}; a bare value "
        text += f"is for one that is inherited, and none named {shown(name)} is"
        document.refuse(location, "wrong_type", text)
        content = {}
    kinds = _kinds(document, location, content)
    form = fill(ParameterForm, document, location, skip=frozenset({"type"}))
    if kinds is None:
        mark = document.mark(location, key=True)
        return Parameter(name=name, type=ParameterType.STRING, mark=mark)
    return _Declaration(document, location, form=form, kinds=kinds).read(name)


def _kinds(
    document: Document, location: Location, content: Mapping[str, object]
) -> tuple[ParameterType, ParameterType | None] | None:
    if "type" not in content:
        return None
    found, at = content["type"], (*location, "type")
    if found is None:
        text = "'type' has no value; write one, or leave the key out"
        document.refuse(at, "wrong_type", text, key=True)
        return None
    if (kinds := parameter_type(found)) is not None:
        return kinds
    spelled = found.strip() if isinstance(found, str) else ""
    if spelled == ParameterType.LIST or _LIST.fullmatch(spelled):
        items = enumerated(ITEM_TYPES)
        text = f"a list says what its items are: list<T>, where T is {items}, not {shown(found)}"
    else:
        hint = f"; {alternatives(found, SINGLE_TYPES)}" if isinstance(found, str) else ""
        text = (
            f"'type' must be {enumerated([*SINGLE_TYPES, 'list<T>'])}, not {described(found)}{hint}"
        )
    document.refuse(at, "unknown_value", text)
    return None


class _Declaration:
    """One parameter, once its type is known; ``single`` is that of one item if it is a list."""

    def __init__(
        self,
        document: Document,
        location: Location,
        *,
        form: ParameterForm,
        kinds: tuple[ParameterType, ParameterType | None],
    ) -> None:
        self._document = document
        self._location = location
        self._form = form
        self._kind, self._items = kinds
        self._single = self._items or self._kind
        content = document.at(location)
        self._given: Mapping[str, object] = content if isinstance(content, Mapping) else {}

    def read(self, name: str) -> Parameter:
        form = self._form
        self._check_belonging()
        self._check_presence()
        bounds = self._bounds()
        values, pattern = self._values(), self._pattern()
        default = self._default()
        for at, item in self._each(default):
            self._check_bounds(at, item, bounds)
            self._check_values(at, item, values)
            self._check_pattern(at, item, pattern)
        return Parameter(
            name=name,
            type=self._kind,
            items=self._items,
            mark=self._document.mark(self._location, key=True),
            default=default,
            required=default is None and not form.abstract,
            abstract=form.abstract,
            minimum=bounds[0],
            maximum=bounds[1],
            values=values,
            pattern=pattern,
            unit=form.unit,
            description=form.description,
        )

    def _refuse(self, key: str, rule: str, text: str, *, at_key: bool = False) -> None:
        self._document.refuse((*self._location, key), rule, text, key=at_key)

    def _check_belonging(self) -> None:
        for key, kinds in BELONGS.items():
            if key in self._given and self._single not in kinds:
                text = f"{key!r} belongs to parameters of type {enumerated(sorted(kinds))}, "
                text += f"not to {self._spelled()}; leave it out"
                self._refuse(key, "unknown_key", text, at_key=True)

    def _spelled(self) -> str:
        return f"a {self._kind}" if self._items is None else f"a list<{self._items}>"

    def _check_presence(self) -> None:
        if self._single is ParameterType.ENUM and "values" not in self._given:
            text = "an enum needs 'values': the texts to choose from, such as [small, large]"
            self._document.refuse(self._location, "missing_key", text)
        has_default = "default" in self._given
        if self._form.required_ is True and has_default:
            text = "a parameter that is required has no default; leave one of the two out"
            self._refuse("required", "bad_default", text)
        if self._form.abstract:
            self._check_abstract(has_value=has_default or self._form.required_ is True)
        elif self._form.required_ is False and not has_default:
            text = "a parameter that is not required needs a 'default' to take its place"
            self._refuse("required", "bad_default", text)

    def _check_abstract(self, *, has_value: bool) -> None:
        if next(iter(self._document.entries((), "a document"))) != DocumentKind.TEMPLATE:
            text = "only a template leaves a parameter open; give this one a 'default', "
            self._refuse("abstract", "misplaced_key", f"{text}or 'required: true'", at_key=True)
        elif has_value:
            text = "what is abstract has no default and is not required, since whoever extends "
            text += "the template says so; leave one of the two out"
            self._refuse("abstract", "bad_default", text)

    def _bounds(self) -> tuple[Value, Value]:
        low, high = self._bound("min"), self._bound("max")
        if low is not None and high is not None and low > high:  # type: ignore[operator]  # both are of one ordered type
            text = f"'min' is {self._shown(low)}, which is more than 'max' ({self._shown(high)})"
            self._refuse("min", "out_of_range", f"{text}; correct one of the two")
            return None, None
        return low, high

    def _bound(self, key: str) -> Value:
        found = self._given.get(key)
        if found is None or self._single not in _BOUNDED:
            return None
        return self._literal((*self._location, key), self._single, found)

    def _default(self) -> Value:
        found = self._given.get("default")
        at = (*self._location, "default")
        if found is None:
            return None
        if self._items is None or not isinstance(found, list) or len(found) > ITEMS_MAX:
            return self._literal(at, self._kind, found)
        items = [self._literal((*at, n), self._items, item) for n, item in enumerate(found)]
        return None if None in items else tuple(items)

    def _literal(self, at: Location, kind: ParameterType, found: object) -> Value:
        subject = f"each of {at[-2]!r}" if isinstance(at[-1], int) else f"{at[-1]!r}"
        if isinstance(found, str) and "${{" in found and kind is not ParameterType.SECRET:
            text = f"{subject} must be a value that is known now, not an expression; write it out"
            self._document.refuse(at, "bad_default", text)
            return None
        value = literal(kind, found)
        if value is None:
            # What was given for a secret may be one that nobody hid: it is never repeated.
            text = f"{subject} must be {EXPECTED[kind]}"
            if kind is ParameterType.SECRET:
                text += "; a secret itself is never written down"
            elif kind is ParameterType.LIST and isinstance(found, list):
                text += f", not of {len(found)}; shorten it"
            else:
                text += f", not {described(found)}"
            self._document.refuse(at, "wrong_type", text)
        return value

    def _each(self, default: Value) -> Iterator[tuple[Location, Value]]:
        at = (*self._location, "default")
        if isinstance(default, tuple):
            yield from (((*at, place), item) for place, item in enumerate(default))
        elif default is not None:
            yield at, default

    def _shown(self, value: Value) -> str:
        return described_as(self._single, value)

    def _values(self) -> tuple[Value, ...]:
        found = self._form.values
        if found is None or self._single is not ParameterType.ENUM:
            return ()
        if not found:
            self._refuse("values", "empty", "'values' is an empty list; name at least one value")
        for place, value in enumerate(found):
            at = (*self._location, "values", place)
            if not isinstance(value, str):
                text = f"each of 'values' must be a text, not {described(value)}; put it in quotes"
                self._document.refuse(at, "wrong_type", text)
            elif value in found[:place]:
                text = f"{shown(value)} is among the 'values' already; leave it out"
                self._document.refuse(at, "duplicate", text)
        return tuple(value for value in found if isinstance(value, str))

    def _pattern(self) -> str | None:
        pattern = self._form.pattern
        if pattern is None or self._single not in BELONGS["pattern"]:
            return None
        if (said := pattern_problem(pattern)) is not None:
            self._refuse("pattern", "bad_pattern", f"'pattern' {said}")
            return None
        return pattern

    def _check_pattern(self, at: Location, value: Value, pattern: str | None) -> None:
        if pattern is None or not isinstance(value, str):
            return
        if len(value) > TEXT_LENGTH_MAX:
            text = f"'default' has {len(value)} characters; beside a pattern, {TEXT_LENGTH_MAX}"
            self._document.refuse(at, "bad_default", f"{text} are the most")
        elif not re.fullmatch(pattern, value):
            text = f"'default' is {shown(value)}, which does not match the pattern as a whole"
            self._document.refuse(at, "bad_default", f"{text}; correct one of the two")

    def _check_bounds(self, at: Location, value: Value, bounds: tuple[Value, Value]) -> None:
        low, high = bounds
        text = f"'default' is {self._shown(value)}, which is"
        if low is not None and value < low:  # type: ignore[operator]  # both are of one ordered type
            text += f" less than 'min' ({self._shown(low)}){self._mending(at, 'min')}"
            self._document.refuse(at, "bad_default", text)
        if high is not None and value > high:  # type: ignore[operator]  # both are of one ordered type
            text += f" more than 'max' ({self._shown(high)}){self._mending(at, 'max')}"
            self._document.refuse(at, "bad_default", text)

    def _mending(self, at: Location, bound: str) -> str:
        """Return what to do about a value beyond ``bound``, which may be of another document."""
        limit = self._document.mark((*self._location, bound))
        if limit.file == self._document.mark(at).file:
            return "; correct one of the two"
        return f", inherited from {limit.file}:{limit.line}; keep to that"

    def _check_values(self, at: Location, value: Value, values: tuple[Value, ...]) -> None:
        if values and value not in values:
            text = f"'default' is {shown(value)}, which is not among the 'values'; "
            names = [str(choice) for choice in values]
            self._document.refuse(at, "bad_default", text + alternatives(str(value), names))

"""Steps, and all that stands in them, in the JSON Schema of a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from test_coordination.adapters.documents.forms.fields import TIME
from test_coordination.adapters.documents.forms.form import NAME_SHAPE, Form
from test_coordination.adapters.documents.forms.part import (
    BetweenForm,
    RampForm,
    RepeatForm,
    RetryForm,
    SelectorForm,
    UntilForm,
)
from test_coordination.adapters.documents.forms.step import (
    COMMON_FORMS,
    STEP_FORMS,
    BackgroundForm,
    StepForm,
)
from test_coordination.adapters.documents.schemas.catalogue import (
    INHERITED,
    given_with,
    names_of,
    probe_shape,
)
from test_coordination.adapters.documents.schemas.parts import (
    ANY_MAP,
    REPLACE,
    chosen,
    form_shape,
    having,
    listed,
    needing,
    placed,
    ref,
)
from test_coordination.adapters.documents.words import enumerated
from test_coordination.adapters.shapes import TYPE, Shape, admitting
from test_coordination.application.capabilities import Catalogue
from test_coordination.domain.steps import COPIES_MAX

SERVICE: Final = {**admitting(NAME_SHAPE, inside=True), TYPE: "service"}

_BACKGROUND: Final = having(background={"const": True})
_ONCE: Final[Shape] = {"dependencies": {"concurrency": ["for_each"]}}
_KINDS_BESIDE: Final = tuple(
    kind for kind, form in STEP_FORMS.items() if issubclass(form, BackgroundForm)
)


class StepShapes:
    """The definitions of steps; those of documents that are ``extending`` end in ``.inherited``."""

    def __init__(self, catalogue: Catalogue, *, extending: bool) -> None:
        self._catalogue = catalogue
        self._extending = extending
        self.suffix = INHERITED if extending else ""

    def definitions(self) -> Mapping[str, Shape]:
        """Return all of them, by name; ``step`` is any step."""
        catalogue = self._catalogue
        found = {
            "step": self._step([*STEP_FORMS], nested=False),
            "background": self._step([*_KINDS_BESIDE], nested=True),
            "retry": self._form(RetryForm),
            "repeat": self._repeat(),
            "repeat.fault": self._repeat(fault=True),
            "ramp": self._form(RampForm),
            "look": probe_shape(catalogue.probes, {}, extending=self._extending),
            "selector": self._selector(),
            "wait": self._wait(),
            "until": self._form(UntilForm),
            "between": self._between(),
            **{f"step.{kind}": self._kind(kind) for kind in STEP_FORMS},
            **{f"every-step.{key}": shape for key, shape in self._every().items()},
        }
        return {f"{name}{self.suffix}": shape for name, shape in found.items()}

    def own(self, name: str) -> Shape:
        """Return a reference to the definition of that name among ours."""
        return ref(f"{name}{self.suffix}")

    def _form(self, form: type[Form], given: Mapping[str, Shape] | None = None) -> Shape:
        return form_shape(form, given, extending=self._extending)

    def _step(self, kinds: list[str], *, nested: bool) -> Shape:
        branches = [(having(kind), self._branch(kind, nested=nested)) for kind in kinds]
        if not nested:
            branches.append((having(background=ANY_MAP), self._beside()))
        return {"type": "object", **chosen(branches, otherwise=self._of_no_kind(kinds))}

    def _branch(self, kind: str, *, nested: bool) -> Shape:
        """Return the shape of a step of that kind, with what holds only where it stands."""
        step = self.own(f"step.{kind}")
        if nested:
            return {"allOf": [step, {"properties": {"background": False}}]}
        rules = [] if self._extending else _of_background(kind)
        return {"allOf": [step, *rules]} if rules else step

    def _beside(self) -> Shape:
        """Return the shape of a step that stands under its own ``background``."""
        properties = self._common()
        properties["background"] = {**properties["background"], **self.own("background")}
        return {"properties": properties, "additionalProperties": False, **_ONCE}

    def _of_no_kind(self, kinds: list[str]) -> Shape:
        """Return the shape of a step of no kind: one that changes what is inherited, or none."""
        properties = self._common()
        for kind in kinds:
            for key, shape in form_shape(STEP_FORMS[kind], self._given(kind)).items():
                if key == "properties" and (self._extending or kind in shape):
                    own = shape if self._extending else {kind: shape[kind]}
                    properties = {**own, **properties}
        order = [*kinds, *(key for key in properties if key not in kinds)]
        whole: Shape = {
            "properties": {key: properties[key] for key in order},
            "additionalProperties": False,
        }
        said = f"a step needs the key that says what it does: {enumerated(kinds)}"
        if self._extending:
            said = "a step without an id is new, and " + said.removeprefix("a step ")
            return {**whole, "allOf": [needing(["id"], said)]}
        return {**whole, "allOf": [needing(kinds, said)]}

    def _every(self) -> dict[str, Shape]:
        """Return the keys that every step may have."""
        out: dict[str, Shape] = self._form(StepForm)["properties"]
        return placed({"properties": out})["properties"] if self._extending else out

    def _common(self) -> dict[str, Shape]:
        """Return the keys of a step whose kind is not told yet."""
        out = {key: self.own(f"every-step.{key}") for key in self._every()}
        parts = self._parts()
        for form in COMMON_FORMS:
            for key, shape in form_shape(form, parts)["properties"].items():
                out.setdefault(key, shape)
        return out

    def _parts(self) -> dict[str, Shape]:
        return {
            "retry": self.own("retry"),
            "background": {"if": ANY_MAP, "then": self.own("background"), "else": _FLAG},
        }

    def _kind(self, kind: str) -> Shape:
        given = {**self._given(kind), "retry": self.own("retry"), "background": _FLAG}
        whole = form_shape(STEP_FORMS[kind], given, extending=self._extending, known=True)
        common = {key: self.own(f"every-step.{key}") for key in self._every()}
        own = {key: one for key, one in whole["properties"].items() if key not in common}
        whole["properties"] = {**own, **common}
        for key in {"with", "ramp"} & own.keys() if kind in {"fault", "action"} else ():
            whole["properties"][key] = True  # what it holds, the rules say
        rules = self._rules(kind)
        return {**whole, **_ONCE, **({"allOf": rules} if rules else {})}

    def _given(self, kind: str) -> dict[str, Shape]:
        """Return the shapes of keys of that kind of step that its form leaves open."""
        catalogue = self._catalogue
        steps = listed(f"step{self.suffix}", extending=self._extending)
        group: Shape = steps if self._extending else {**steps, "minItems": 1}
        given: dict[str, dict[str, Shape]] = {
            "fault": {
                "fault": names_of(catalogue.faults),
                "target": {"if": ANY_MAP, "then": self.own("selector"), "else": SERVICE},
                "ramp": self.own("ramp"),
                "repeat": self.own("repeat.fault"),
            },
            "action": {
                "action": names_of(catalogue.actions),
                "repeat": self.own("repeat"),
            },
            "probe": {"probe": self.own("look")},
            "snapshot": {"snapshot": {"type": "array", "items": SERVICE, "minItems": 1}},
            "wait": {"wait": self.own("wait")},
            "scenario": {"with": ANY_MAP},
            "parallel": {"parallel": group},
            "sequence": {"sequence": group},
        }
        return given.get(kind, {})

    def _rules(self, kind: str) -> list[Shape]:
        extending, catalogue = self._extending, self._catalogue
        if kind == "fault":
            given = given_with("fault", catalogue.faults, extending=extending)
            rules = [*given, *self._ramps()]
            held: Shape = {"dependencies": {"ramp": ["hold"], "repeat": ["hold"]}}
            return rules if extending else [*rules, held]
        if kind == "action":
            return given_with("action", catalogue.actions, extending=extending)
        return _modes() if kind == "expect" and not extending else []

    def _ramps(self) -> list[Shape]:
        """Return the rules about which faults can grow."""
        faults = self._catalogue.faults
        shape = form_shape(STEP_FORMS["fault"], {"ramp": self.own("ramp")})["properties"]["ramp"]
        growing = [name for name, fault in faults.items() if fault.scalable]
        still = [name for name in faults if name not in growing]
        return [
            {"if": having(fault={"enum": names}), "then": {"properties": {"ramp": one}}}
            for names, one in ((growing, shape), (still, False))
            if names
        ]

    def _repeat(self, *, fault: bool = False) -> Shape:
        whole = self._form(RepeatForm)
        if fault:
            del whole["properties"]["every"]
            whole["properties"]["times"] = _at_most(whole["properties"]["times"], COPIES_MAX)
            return whole if self._extending else {**whole, "required": ["times"]}
        if self._extending:
            return whole
        apart: Shape = {"properties": {"pause": False}}
        return {**whole, "if": having("every"), "then": apart, "else": {"required": ["times"]}}

    def _selector(self) -> Shape:
        services: Shape = {"type": "array", "items": SERVICE, "minItems": 1}
        either: Shape = {"if": {"type": "array"}, "then": services, "else": SERVICE}
        excluded = {"type": "array", "items": SERVICE}
        whole = self._form(SelectorForm, {"service": either, "exclude": excluded})
        if self._extending:
            return whole
        tagged = having(tags={"minProperties": 1})
        return {**whole, "if": tagged, "else": {"required": ["service"]}}

    def _between(self) -> Shape:
        two: Shape = {"type": "array", "items": TIME, "minItems": 2, "maxItems": 2}
        return self._form(BetweenForm, {"between": two})

    def _wait(self) -> Shape:
        both = {
            **form_shape(BetweenForm)["properties"],
            **form_shape(UntilForm)["properties"],
        }
        keys = ["until", "between"]
        said = "a wait needs 'until' with a condition, 'between' with two times, or just a time"
        neither: Shape = {"properties": both, "additionalProperties": False}
        if self._extending:
            both["replace"] = REPLACE
        else:
            neither["allOf"] = [needing(keys, said)]
        ways = chosen(
            [(having(key), self.own(key)) for key in keys],
            otherwise=neither,
        )
        return {"if": ANY_MAP, "then": ways, "else": TIME}


_FLAG: Final[Shape] = {"type": "boolean"}


def _at_most(shape: Mapping[str, Any], most: int) -> Shape:
    """Return ``shape``, a number or an expression, with another bound."""
    first, *rest = shape["anyOf"]
    return {**shape, "anyOf": [{**first, "maximum": most}, *rest]}


def _modes() -> list[Shape]:
    """Return the rules about which ways of judging go together."""
    modes = ("always", "never", "during")
    whole = {key: {"const": True} for key in ("always", "never")}
    return [
        {
            "if": {"anyOf": [having(key) for key in modes]},
            "then": {"properties": {"within": False, "hold": False}},
        },
        {"if": having("always"), "then": {"properties": {"never": False}}},
        {"if": having("during"), "then": {"properties": {**whole, "after_fault": False}}},
    ]


def _of_background(kind: str) -> list[Shape]:
    """Return what a step of that kind needs unless it is in the background."""
    match kind:
        case "fault":
            return [{"if": _BACKGROUND, "else": {"required": ["hold"]}}]
        case "action":
            ends = {"properties": {"repeat": {"required": ["times"]}}}
            return [{"if": _BACKGROUND, "else": ends}]
        case "expect":
            endless = [having(**{key: {"const": True}}) for key in ("always", "never")]
            without_end = {"allOf": [{"anyOf": endless}, {"not": having("during")}]}
            beside = {"properties": {"background": {"const": True}}, "required": ["background"]}
            return [{"if": without_end, "then": beside}]
        case _:
            return []


def step_definitions(catalogue: Catalogue) -> Mapping[str, Shape]:
    """Return the definitions of steps, of documents that extend others and of those that do not."""
    return {
        **StepShapes(catalogue, extending=False).definitions(),
        **StepShapes(catalogue, extending=True).definitions(),
    }

"""The text of scenarios to begin with: checked clean as they are, and easy to fill in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from test_coordination.domain.parameters import Parameter
from test_coordination.domain.scenario import Scenario
from test_coordination.interfaces.cli.wording import bounds, literal, type_name

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_UNFIT: Final = re.compile(r"[^a-z0-9]+")
_NAME_MAX: Final = 60
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9 ,;()'/-]*[A-Za-z0-9)]")

FREE: Final = """\
version: 1
title: {title}
description: What is broken, and what must be true all the same.
owner: {owner}
tags: [draft]

parameters:
  # Which service is broken: `--set service=NAME` says so, or a default written here.
  service: {{type: service, {service}, description: the service that is broken}}
  outage: {{type: duration, default: 5s, min: 1s, max: 1m, description: how long it is away}}

# The most that may be hit; a plan that goes beyond it is refused.
blast_radius: {{services: 1}}

# What is looked at all the time. `tcoord explain http` tells of another kind.
probes:
  seen: {{process: "${{{{ parameters.service }}}}", every: 500ms}}

# What must be true before anything is broken, and again at the end.
steady_state:
  - {{id: healthy, expect: probes.seen.last.healthy, watch: false}}

# When it is better to stop at once; every fault is undone then.
stop_when:
  - {{id: gone-for-too-long, when: "!probes.seen.last.healthy", hold: 2m}}

# `tcoord explain` lists what there is to be done, and `tcoord plan` shows what it comes to.
steps:
  - id: stop
    title: The service is gone
    fault: service.stop
    target: "${{{{ parameters.service }}}}"
    hold: "${{{{ parameters.outage }}}}"
  - id: back
    title: The service is back
    expect: probes.seen.last.healthy
    within: 30s          # counted from the end of the fault
    hold: 2s             # it must stay so for that long
    after_fault: stop

timeout: 5m
"""


def fitting_name(file: Path, *, beside: str = "") -> str:
    """Return the name of a scenario in ``file``; never ``beside``, that of what it extends."""
    words = _UNFIT.sub("-", file.name.partition(".")[0].lower()).strip("-")
    words = words.lstrip("-0123456789") or "scenario"
    name = words[:_NAME_MAX].rstrip("-")
    return f"my-{name}" if name == beside else name


def free_draft(*, name: str, schema: str, owner: str, service: str | None) -> str:
    """Return a small scenario that stops a service; ``service`` is one that there is."""
    head = _head(name, schema)
    chosen = "required: true" if service is None else f"default: {scalar(service)}"
    title = name.replace("-", " ").capitalize()
    return head + FREE.format(title=scalar(title), owner=scalar(owner), service=chosen)


def extending_draft(template: Scenario, *, name: str, schema: str) -> str:
    """Return a scenario that extends ``template``, with its parameters to be filled in."""
    lines = [
        "version: 1",
        f"extends: {scalar(template.name)}",
        f"# title: {_inherited(template.title)}",
        *_parameters(template.parameters),
        *(() if template.steps else STEPS),
    ]
    return _head(name, schema) + "\n".join(lines) + "\n"


STEPS: Final = (
    "",
    "# The template has no steps of its own.",
    "steps:",
    "  - {id: pause, wait: 1s}",
)


def _head(name: str, schema: str) -> str:
    return f"# yaml-language-server: $schema={schema}\nscenario: {scalar(name)}\n"


def _inherited(title: str) -> str:
    return scalar(title) if title else "What is broken, in a few words"


def _parameters(parameters: tuple[Parameter, ...]) -> Iterator[str]:
    abstract = [each for each in parameters if each.abstract]
    given = [each for each in parameters if not each.abstract]
    if not parameters:
        return
    yield ""
    if abstract:
        yield "parameters:"
        yield "  # To be filled in: write a value in place of {required: true}, which asks for"
        yield "  # one at each start, as --set NAME=VALUE."
        for each in abstract:
            yield f"  # {_told(each)}"
            yield f"  {each.name}: {{required: true}}"
    if given:
        yield "  # What may be changed:" if abstract else "# What may be changed:"
        start = "  # " if abstract else "#   "
        if not abstract:
            yield "# parameters:"
        values = [_value(each) for each in given]
        room = max(map(len, values))
        for each, value in zip(given, values, strict=True):
            yield f"{start}{value:<{room}}  # {_told(each)}"


def _value(each: Parameter) -> str:
    shown = "{required: true}" if each.default is None else literal(each.default, each)
    return f"{each.name}: {shown}"


def _told(each: Parameter) -> str:
    kind = ", ".join(filter(None, (type_name(each), bounds(each))))
    return "; ".join(filter(None, (kind, one_line(each.description))))


def one_line(text: str) -> str:
    """Return ``text`` without its breaks."""
    return " ".join(text.split())


def scalar(text: str) -> str:
    """Return ``text`` as YAML writes it on one line."""
    plain = _WORD.fullmatch(text) and not text.startswith(("- ", "? ")) and ": " not in text
    words = {"true", "false", "null", "yes", "no", "on", "off"}
    if NAME.fullmatch(text) and text not in words:
        return text
    if plain and text.lower() not in words and "," not in text:
        return text
    return json.dumps(text, ensure_ascii=False)

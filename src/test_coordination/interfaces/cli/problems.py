"""Mistakes and warnings in files, as people, programs and code reviews read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import click

from test_coordination.domain.errors import Problem


class Gravity(StrEnum):
    """Whether something is wrong, or could be better."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something to be said of a place in a file."""

    problem: Problem
    gravity: Gravity = Gravity.ERROR

    def as_text(self) -> str:
        """Return it as one line for people; a warning says that it is one."""
        problem = self.problem
        if self.gravity is Gravity.ERROR:
            return f"{problem} [{problem.code}]"
        word = click.style("warning", fg="yellow")
        return f"{problem.mark}: {word}: {problem.text} [{problem.code}]"

    def as_json(self) -> dict[str, object]:
        """Return it as programs read it."""
        mark = self.problem.mark
        return {
            "file": mark.file,
            "line": mark.line,
            "column": mark.column,
            "severity": self.gravity.value,
            "code": self.problem.code,
            "text": self.problem.text,
        }

    def as_annotation(self) -> str:
        """Return the line by which GitHub shows it beside the place in the file."""
        mark = self.problem.mark
        facts = {
            "file": mark.file,
            "line": str(mark.line),
            "col": str(mark.column),
            "title": self.problem.code,
        }
        where = ",".join(f"{name}={_property(value)}" for name, value in facts.items())
        return f"::{self.gravity} {where}::{_escaped(self.problem.text)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def remarks(problems: Iterable[Problem], gravity: Gravity) -> list[Remark]:
    """Return each of ``problems`` as a remark."""
    return [Remark(problem=problem, gravity=gravity) for problem in problems]


def say(found: Sequence[Remark], form: str) -> None:
    """Print ``found``: as ``text`` to people, as ``json``, or as ``github`` annotations."""
    if form == "json":
        click.echo(json.dumps([remark.as_json() for remark in found], indent=2))
    for remark in found if form == "github" else ():
        click.echo(remark.as_annotation())
    for remark in found if form == "text" else ():
        click.echo(remark.as_text(), err=True)


def counted(found: Sequence[Remark]) -> str:
    """Return how many mistakes and warnings there are, in words."""
    errors = sum(remark.gravity is Gravity.ERROR for remark in found)
    warnings = len(found) - errors
    return ", ".join(
        f"{count} {word}{'s' if count != 1 else ''}"
        for count, word in ((errors, "mistake"), (warnings, "warning"))
        if count
    )

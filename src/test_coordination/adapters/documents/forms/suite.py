"""What the parts of a suite may hold, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import Field

from test_coordination.adapters.documents.forms.fields import ScenarioName, Title, Verdicts, whole
from test_coordination.adapters.documents.forms.form import Form, Name, Words
from test_coordination.domain.verdicts import Verdict

CONCURRENCY_MAX: Final = 1_000


class SuiteForm(Form):
    """A document that is a suite."""

    noun: ClassVar[str] = "a suite"
    required: ClassVar[Mapping[str, str]] = {
        "version": "that of the language, which is 1",
        "scenarios": "what is to be run",
    }

    suite: Name = Field(default="", description="its name", examples=["nightly"])
    version: object = Field(default=None, description="that of the language: 1", examples=[1])
    title: Title = Field(
        default="",
        description="what people read instead of the name",
        examples=["All that runs every night"],
    )
    description: Words = Field(default="", description="what it is for, and when it is run")
    owner: Words = Field(
        default="", description="the team or person to be asked about it", examples=["trading"]
    )
    tags: list[Name] = Field(
        default_factory=list, description="words by which it is found", examples=[["nightly"]]
    )
    parameters: object = Field(
        default=None,
        description="what the person who starts it may choose, by name",
        examples=[{"outages": {"type": "list<duration>", "default": ["1s", "5s"]}}],
    )
    matrix: object = Field(
        default=None,
        description="values by name; every entry is run once for each combination of them",
        examples=[{"outage": ["1s", "5s"]}, {"outage": "${{ parameters.outages }}"}],
    )
    scenarios: object = Field(
        default=None,
        description="the scenarios that are run",
        examples=[[{"scenario": "exchange-restart", "with": {"outage": "${{ matrix.outage }}"}}]],
    )
    concurrency: Annotated[int, whole(1, CONCURRENCY_MAX)] = Field(
        default=1, description="how many are run at the same time", examples=[2]
    )
    stop_on: Verdicts = Field(
        default=(Verdict.RESIDUE,),
        description="the verdicts after which no further one is begun",
        examples=["residue", ["residue", "broken"]],
    )


class SuiteEntryForm(Form):
    """One entry of ``scenarios``."""

    noun: ClassVar[str] = "an entry of a suite"
    required: ClassVar[Mapping[str, str]] = {"scenario": "the scenario that is run"}

    id: Name | None = Field(
        default=None,
        description="the name by which others need it; that of its scenario if it is left out",
        examples=["baseline"],
    )
    scenario: ScenarioName | None = Field(
        default=None,
        description="the scenario that is run",
        examples=["baseline-health", "baseline-health@2"],
    )
    needs: list[Words] | None = Field(
        default=None,
        description="the entries that must have ended well before",
        examples=[["baseline"]],
    )
    parameters: object = Field(
        default=None,
        alias="with",
        description="the parameters that it is given",
        examples=[{"outage": "${{ matrix.outage }}"}],
    )
    matrix: object = Field(
        default=None,
        description="values by name, for this entry alone, beside those of the suite",
        examples=[{"rate": [10, 100]}],
    )

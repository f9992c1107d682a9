"""What the declaration of a parameter may hold, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from test_coordination.adapters.documents.forms.form import Flag, Form, Words


class ParameterForm(Form):
    """One entry of ``parameters``; its type is read apart, see `declarations.parameter_type`."""

    noun: ClassVar[str] = "a parameter"
    required: ClassVar[Mapping[str, str]] = {"type": "such as string, integer or duration"}

    type: Words | None = Field(
        default=None,
        description="string, integer, number, boolean, duration, percent, bytes, service, enum, "
        "secret, or list<T> of one of the others",
        examples=["duration", "list<service>"],
    )
    default: object = Field(
        default=None,
        description="the value where none is given at the start; that of a secret says where it "
        "is kept",
        examples=["5s", "env:API_TOKEN"],
    )
    abstract: Flag = Field(
        default=False,
        description="in a template: whoever extends it must give a default, or require a value",
    )
    required_: Flag | None = Field(
        default=None,
        alias="required",
        description="whether a value must be given at the start; so it is where there is no "
        "default",
    )
    min: object = Field(
        default=None, description="the least that it may be", examples=["1s", "10KB"]
    )
    max: object = Field(
        default=None, description="the most that it may be", examples=["60s", "64MiB"]
    )
    values: list[object] | None = Field(
        default=None,
        description="the texts that an enum is chosen from",
        examples=[["small", "large"]],
    )
    pattern: Words | None = Field(
        default=None,
        description="a regular expression that a string or service must match as a whole",
        examples=["[a-z]{2}-[0-9]+"],
    )
    unit: Words = Field(
        default="", description="what a number counts, for people", examples=["orders/s"]
    )
    description: Words = Field(
        default="", description="what it is for", examples=["how long the service is gone"]
    )

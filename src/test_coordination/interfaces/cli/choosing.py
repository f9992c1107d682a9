"""Which execution is meant by what somebody types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import click

from test_coordination.domain.values import ExecutionId

RECENT: Final = 1000
"""Among how many executions a part of an identity is looked for."""


def chosen(text: str | None, known: Sequence[ExecutionId]) -> ExecutionId:
    """Return the execution that ``text`` names, whole or by one end; the first without a text.

    Raises:
        UsageError: there is none yet.
        BadParameter: none of the ``known`` begins or ends like that, or several do.
    """
    if text is None:
        if not known:
            message = "nothing was run yet; try `tcoord demo`"
            raise click.UsageError(message)
        return known[0]
    part = text.lower()
    matching = [each for each in known if str(each).startswith(part) or str(each).endswith(part)]
    if len(matching) == 1:
        return matching[0]
    try:
        return ExecutionId(UUID(text))
    except ValueError:
        if matching:
            found = f"{len(matching)} recent executions begin or end with {text!r}; give more of it"
        else:
            found = f"no execution begins or ends with {text!r}"
        message = f"{found}; `tcoord executions` lists them"
        raise click.BadParameter(message, param_hint="EXECUTION") from None

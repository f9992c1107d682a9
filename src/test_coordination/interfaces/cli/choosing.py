"""Which execution is meant by what somebody types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import click

from test_coordination.domain.values import ExecutionId

RECENT: Final = 1000
"""Among how many executions the end of an identity is looked for."""


def chosen(text: str | None, known: Sequence[ExecutionId]) -> ExecutionId:
    """Return the execution that ``text`` names, whole or by its end; the first without a text.

    Raises:
        UsageError: there is none yet.
        BadParameter: none of the ``known`` ends like that, or several do.
    """
    if text is None:
        if not known:
            message = "nothing was run yet; try `tcoord demo`"
            raise click.UsageError(message)
        return known[0]
    matching = [identity for identity in known if str(identity).endswith(text.lower())]
    if len(matching) == 1:
        return matching[0]
    try:
        return ExecutionId(UUID(text))
    except ValueError:
        found = f"{len(matching)} recent executions end" if matching else "no execution ends"
        message = f"{found} in {text!r}; `tcoord executions` lists them"
        raise click.BadParameter(message, param_hint="EXECUTION") from None

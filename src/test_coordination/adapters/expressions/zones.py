"""Time zones, which the library looks up as files and so must not be any text."""

from __future__ import annotations

import re
from typing import Final

from test_coordination.adapters.expressions.syntax import Form, Node

# A name of the time zone database, or an offset. The library takes paths, too: to one that nobody
# writes to, such as a named pipe, it would wait forever.
_ZONE: Final = re.compile(r"[A-Za-z][\w+-]*(?:/[A-Za-z][\w+-]*){0,2}|[+-]?\d\d:\d\d", re.ASCII)
_PARTS_WITH_ZONE: Final = 2


def bad_zone(root: Node) -> str | None:
    """Return why a time zone in the expression is refused, or None."""
    for node in root.walk():
        if node.form is not Form.CALL or not node.name.startswith("get"):
            continue
        if len(node.parts) < _PARTS_WITH_ZONE:
            continue
        zone = node.parts[1]
        if zone.form is not Form.CONSTANT or not _ZONE.fullmatch(zone.name):
            return (
                f"the time zone of {node.name!r} must be written out as a name such as "
                "'Europe/Paris' or an offset such as '+02:00'"
            )
    return None

"""Structured logs: one JSON object a line, on standard output."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field

from trading.clock import now

REPEAT_S = 5.0


@dataclass(slots=True, kw_only=True)
class Log:
    """What a service says about itself."""

    service: str
    _said: dict[str, float] = field(default_factory=dict)

    def say(self, event: str, **facts: object) -> None:
        """Write one line, at once."""
        line = {"at": round(now(), 3), "service": self.service, "event": event, **facts}
        sys.stdout.write(json.dumps(line, default=str) + "\n")
        sys.stdout.flush()

    def trouble(self, doing: str, error: BaseException) -> None:
        """Write that ``doing`` went wrong; the same trouble is told at most every few seconds."""
        kind = f"{doing} {type(error).__name__}"
        if now() - self._said.get(kind, 0.0) >= REPEAT_S:
            self._said[kind] = now()
            self.say("trouble", doing=doing, error=f"{type(error).__name__}: {error}")

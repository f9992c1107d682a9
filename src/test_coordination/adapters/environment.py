"""What other programs get of our environment: enough to find programs, and nothing secret."""

from __future__ import annotations

import os
from typing import Final

INHERITED: Final = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "PATH",
    "SHELL",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
)


def environment() -> dict[str, str]:
    """Return those of our variables that any program may have."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}

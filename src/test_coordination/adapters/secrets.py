"""Secrets from the environment and from files."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from test_coordination.domain.secrets import SecretUnavailableError

CHARACTERS_LEAST: Final = 4
CHARACTERS_MAX: Final = 65_536

_BYTES_MAX: Final = CHARACTERS_MAX * 4 + len("\r\n")
"""No text that is short enough has more, whatever its characters are."""


class KeptSecrets:
    """`Secrets` in variables of the environment, and in files.

    Paths that are relative are so to ``directory``.
    """

    def __init__(self, environment: Mapping[str, str], *, directory: Path) -> None:
        self._environment = environment
        self._directory = directory

    def reveal(self, reference: str) -> str:
        """See `Secrets.reveal`."""
        kept, _, place = reference.partition(":")
        try:
            return _fit(self._variable(place) if kept == "env" else self._file(place))
        except _UnfitError as error:
            cause = str(error)
        # Raised here, so that an error whose fields hold the value is not its context.
        raise SecretUnavailableError(reference=reference, cause=cause)

    def _variable(self, name: str) -> str:
        if name not in self._environment:
            raise _UnfitError("no such variable is set where the coordinator runs")
        return self._environment[name]

    def _file(self, path: str) -> str:
        try:
            data = _read(self._directory / path)
        except OSError as error:
            raise _UnfitError(f"the file cannot be read ({error.strerror})") from None
        if len(data) > _BYTES_MAX:
            raise _UnfitError(f"the file is too long; expected at most {_BYTES_MAX} bytes")
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise _UnfitError("the file is no text in UTF-8") from None


class _UnfitError(Exception):
    """Why there is no secret; never leaves this module."""


def _read(path: Path) -> bytes:
    """Return the beginning of a file; a pipe or a device could keep us waiting for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _UnfitError("it is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_BYTES_MAX + 1)


def _fit(text: str) -> str:
    secret = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not secret.isprintable() and any("\ud800" <= character <= "\udfff" for character in secret):
        raise _UnfitError("its value is no text in UTF-8")
    if len(secret.strip()) < CHARACTERS_LEAST:
        raise _UnfitError(
            f"its value is too short; expected at least {CHARACTERS_LEAST} characters, "
            "for to hide fewer would garble every text"
        )
    if len(secret) > CHARACTERS_MAX:
        raise _UnfitError(f"its value is too long; expected at most {CHARACTERS_MAX} characters")
    return secret

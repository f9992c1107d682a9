"""A vault over variables that a test chooses, and the secret that most of them have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from test_coordination.adapters.secrets import KeptSecrets
from test_coordination.application.engine.vault import Vault
from test_coordination.domain.secrets import placeholder

SECRET = "p@ss \"w'ö\\rd/+=&<🔑"
MARK = placeholder("env:TOKEN")


def vault(variables: Mapping[str, str] | None = None, *, seen: bool = True) -> Vault:
    """Return a vault that has revealed all of ``variables``, unless they are not ``seen``."""
    variables = {"TOKEN": SECRET} if variables is None else variables
    made = Vault(KeptSecrets(variables, directory=Path("/nowhere")))
    if seen:
        made.reveal({name: placeholder(f"env:{name}") for name in variables})
    return made

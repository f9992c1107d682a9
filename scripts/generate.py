"""Writes every file that is made from the code; `make generated` calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from test_coordination.handbook import generated

ROOT: Final = Path(__file__).parents[1]

for name, text in generated().items():
    (ROOT / name).write_text(text, encoding="utf-8")

"""Write what is told of each file in tests/unit/fixtures/bad, for people to read.

    python scripts/bad_messages.py

The messages of the files whose names begin alike stand in one text; a test compares them.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from support.bad_files import MESSAGES, messages  # noqa: E402  (found by the line above)

if __name__ == "__main__":
    MESSAGES.mkdir(exist_ok=True)
    for name, text in messages().items():
        (MESSAGES / f"{name}.txt").write_text(text, encoding="utf-8")

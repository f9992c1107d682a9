"""The program of a later release: it plans in a format that this one does not know."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

from test_coordination.domain import plan

NEWER = (sys.executable, str(Path(__file__)))

if __name__ == "__main__":
    later = cast("Any", plan)
    later.PLAN_FORMAT = plan.PLAN_FORMAT + 1
    later.PLAN_FORMATS = plan.PLAN_FORMATS | {later.PLAN_FORMAT}

    from test_coordination.__main__ import main  # what is imported from now on is of that release

    main()

"""``tcoord``, but a store that is away is waited for a few seconds instead of half a minute."""

from __future__ import annotations

import sys
from datetime import timedelta

from test_coordination import program
from test_coordination.__main__ import main

PATIENCE = timedelta(seconds=4)


def hurry() -> None:
    """Shorten the patience wherever it is known by its name."""
    assert program.__name__ in sys.modules, "everything is imported by now"
    knowing = [one for one in list(sys.modules.values()) if "STORE_PATIENCE" in vars(one)]
    assert knowing, "nobody has this patience any more"
    for module in knowing:
        vars(module)["STORE_PATIENCE"] = PATIENCE


if __name__ == "__main__":
    hurry()
    main()

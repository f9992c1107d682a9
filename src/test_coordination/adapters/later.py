"""Libraries that take long to import, and that most commands have no use for.

Each is imported when something of it is first asked for.
"""

from __future__ import annotations

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING

__all__ = ["aiohttp", "jinja2"]


def _later(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    spec = find_spec(name)
    assert spec is not None, f"{name} is among what the program requires"
    assert spec.loader is not None
    spec.loader = LazyLoader(spec.loader)
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING:
    import aiohttp
    import jinja2
else:
    aiohttp = _later("aiohttp")
    jinja2 = _later("jinja2")

"""Fixtures that several files of this folder share."""

from __future__ import annotations

from support.links_scene import control
from support.target_world import world

__all__ = ["control", "world"]

"""``tcoord suites``: list, store, compare and export suites."""

from __future__ import annotations

from test_coordination.domain.scenario import DocumentKind
from test_coordination.interfaces.cli.shelves import shelf

command = shelf(DocumentKind.SUITE)

"""``tcoord templates``: list, store, compare and export templates."""

from __future__ import annotations

from test_coordination.domain.scenario import DocumentKind
from test_coordination.interfaces.cli.shelves import shelf

command = shelf(DocumentKind.TEMPLATE)

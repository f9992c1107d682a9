"""The files with mistakes, and all that is told of them."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from support.decoder_catalogue import catalogue
from test_coordination.adapters.documents.scenario import ScenarioReader
from test_coordination.adapters.documents.systems.topology import TopologyReader
from test_coordination.adapters.expressions.cel import CelExpressions
from test_coordination.domain.errors import InvalidDocumentError

FIXTURES = Path(__file__).parents[1] / "unit" / "fixtures"
BAD = FIXTURES / "bad"
MESSAGES = FIXTURES / "bad_messages"


def messages() -> Mapping[str, str]:
    """Return what is told of every file, by the first word of the files' names."""
    groups: dict[str, list[str]] = defaultdict(list)
    for path in sorted(BAD.glob("*.yaml")):
        group = path.stem.partition("-")[0]
        groups[group].append(_told(path))
    found = {name: texts for name, texts in groups.items() if len(texts) > 1}
    found["others"] = [text for texts in groups.values() if len(texts) == 1 for text in texts]
    return {name: "\n".join(texts) for name, texts in found.items()}


def _told(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    try:
        if path.name.startswith("topology-"):
            topologies = TopologyReader(CelExpressions(), python=sys.executable, environment={})
            topologies.read(text, file=path.name, state_directory=Path("/nowhere"))
        else:
            ScenarioReader(catalogue(), CelExpressions()).read(text, file=path.name)
    except InvalidDocumentError as error:
        return "".join(f"{problem}\n" for problem in error.problems)
    return f"{path.name}: nothing is wrong\n"

"""What is made from the code for authors and their editors, by the file that it is kept in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from test_coordination.adapters.documents.schema import scenario_schema
from test_coordination.adapters.documents.schema_parts import schema_text
from test_coordination.adapters.documents.schema_topology import topology_schema
from test_coordination.adapters.links.keeper import LinkKeeper
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.application.capabilities import Catalogue
from test_coordination.bootstrap import catalogue

FOLDER: Final = "docs/reference"


def known() -> Catalogue:
    """Return all that a scenario may ask for, to be told of; nothing is opened for it."""
    return catalogue(LinkKeeper(), ProcessServices())


def generated() -> Mapping[str, str]:
    """Return the text of each generated file by its path in the repository."""
    return {
        f"{FOLDER}/scenario.schema.json": schema_text(scenario_schema(known())),
        f"{FOLDER}/topology.schema.json": schema_text(topology_schema()),
    }

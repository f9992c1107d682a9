"""What is made from the code for authors and their editors, by the file that it is kept in."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import walk_packages
from typing import Final

from test_coordination.adapters.documents.references.errors import errors_page
from test_coordination.adapters.documents.references.language import language_page
from test_coordination.adapters.documents.references.pages import catalogue_page
from test_coordination.adapters.documents.schemas.documents import scenario_schema
from test_coordination.adapters.documents.schemas.parts import schema_text
from test_coordination.adapters.documents.schemas.topology import topology_schema
from test_coordination.adapters.expressions.functions import FUNCTIONS
from test_coordination.adapters.links.keeper import LinkKeeper
from test_coordination.adapters.targets.process import ProcessServices
from test_coordination.application.capabilities import Catalogue
from test_coordination.interfaces.cli.pages import commands_page
from test_coordination.kinds import catalogue

FOLDER: Final = "docs/reference"
PACKAGE: Final = "test_coordination"
ROOMS: Final = ("domain", "application", "adapters", "settings")


def known() -> Catalogue:
    """Return all that a scenario may ask for, to be told of; nothing is opened for it."""
    return catalogue(LinkKeeper(), ProcessServices())


def _imported() -> None:
    """Import every module that may define errors which are told to others."""
    for room in ROOMS:
        module = import_module(f"{PACKAGE}.{room}")
        for found in walk_packages(getattr(module, "__path__", []), f"{PACKAGE}.{room}."):
            if not found.name.endswith("__main__"):
                import_module(found.name)


def generated() -> Mapping[str, str]:
    """Return the text of each generated file by its path in the repository."""
    _imported()
    return {
        f"{FOLDER}/scenario.schema.json": schema_text(scenario_schema(known())),
        f"{FOLDER}/scenario-language.md": language_page(FUNCTIONS),
        f"{FOLDER}/catalogue.md": catalogue_page(known()),
        f"{FOLDER}/errors.md": errors_page([f"{PACKAGE}.{room}" for room in ROOMS]),
        f"{FOLDER}/command-line.md": commands_page(),
        f"{FOLDER}/topology.schema.json": schema_text(topology_schema()),
    }

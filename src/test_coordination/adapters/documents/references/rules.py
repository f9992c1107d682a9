"""The codes of mistakes in documents, and what each is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

YAML: Final[Mapping[str, str]] = {
    "braces": "A value begins with `{{`, which YAML reads as a map.",
    "duplicate_key": "A key stands twice in one map.",
    "empty": "There is nothing in the document.",
    "encoding": "The file is not UTF-8, or holds characters that no text has.",
    "key": "A key is no plain text.",
    "many_documents": "The file holds more than one document.",
    "merge_key": "`<<` is not supported; `extends` does what is meant.",
    "not_a_map": "The document is no map of keys and values.",
    "recursive": "An alias stands inside what it stands for.",
    "syntax": "The file is no YAML.",
    "tab": "A line is indented by a tab.",
    "tag": "A tag such as `!include` is not supported.",
    "too_deep": "Maps and lists are nested deeper than anybody can read.",
    "too_large": "The file is too large.",
    "too_many_aliases": "There are too many aliases.",
    "too_many_nodes": "There are too many values, those that aliases repeat counted again.",
    "unknown_alias": "An alias stands for an anchor that there is not.",
}

DOCUMENT: Final[Mapping[str, str]] = {
    "bad_condition": "A condition is written in `${{ }}`, which it must not be.",
    "bad_default": "A default is not what its parameter admits, or must not be there.",
    "bad_duration": "A text is no duration.",
    "bad_name": "A name has characters that names do not have.",
    "bad_parameter": "A parameter of a fault, action or probe has a wrong value.",
    "bad_path": "A path does not begin with `/`.",
    "bad_pattern": "A pattern is no regular expression, or one that could run for ever.",
    "bad_reference": "An `env:` or `file:` leads to nothing.",
    "bad_title": "A title holds an expression.",
    "bad_url": "A URL is not of the kind that is asked for.",
    "bad_word": "A word of inheritance stands where it means nothing.",
    "conflict": "Two keys do not go together.",
    "cycle": "Things wait for each other, or extend each other, in a circle.",
    "duplicate": "Something is named twice.",
    "duplicate_id": "An id is given twice.",
    "duplicate_port": "A port is taken already.",
    "empty": "A list or map that must hold something is empty.",
    "kind": "A definition that is needed is not of the kind that is needed.",
    "left_abstract": "A parameter that a template leaves open is not given.",
    "misplaced_key": "A key is known, but not in a part like this one.",
    "missing_key": "A key that must be there is not.",
    "missing_parameter": "A parameter that must be given is not.",
    "no_kind": "The key that says what this is or does is not there.",
    "not_a_fault": "An id that must be that of a fault is that of something else.",
    "not_begun": "A step is to be ended that cannot have begun by then.",
    "not_stoppable": "A step is to be ended that ends by itself.",
    "not_supported": "A later release will know this.",
    "out_of_range": "A value is too small or too large.",
    "secret": "A secret is used where its value could be stored or shown.",
    "too_deep": "Documents extend, or need, each other too many times over.",
    "too_large": "All that is extended is too large together.",
    "too_many": "There are too many entries.",
    "too_many_expressions": "There are more expressions than can be checked in a short time.",
    "too_many_parents": "A document goes back to too many others.",
    "too_many_problems": "There are more mistakes than are told at once.",
    "two_kinds": "Two keys say what this is or does.",
    "unknown": "A definition that is needed is not found.",
    "unknown_action": "No action has that name.",
    "unknown_entry": "No entry of the suite has that id.",
    "unknown_fault": "No fault has that name.",
    "unknown_id": "Nothing that is inherited has that id or name.",
    "unknown_key": "Nothing in a part like this one has that key.",
    "unknown_parameter": "The fault, action, probe or scenario has no such parameter.",
    "unknown_parent": "What is to be extended is not found.",
    "unknown_port": "The service has no port of that name.",
    "unknown_probe": "No kind of probe has that name.",
    "unknown_service": "The topology has no service of that name.",
    "unknown_step": "No step has that id.",
    "unknown_store": "The topology has no store of that name.",
    "unknown_value": "A word is not among those that can be said here.",
    "unknown_variable": "Nothing is known under a name in `${ }`.",
    "unsupported_version": "The version is not one of this language.",
    "widened": "A parameter admits more than the one that it inherits from.",
    "wrong_document": "The document is of another kind than was asked for.",
    "wrong_parent": "What is to be extended is neither a scenario nor a template.",
    "wrong_type": "A value is of another type than was expected.",
}

EXPRESSION: Final[Mapping[str, str]] = {
    "bad_time_zone": "No time zone has that name.",
    "syntax": "The text is no expression.",
    "too_costly": "The expression could take too long.",
    "too_long": "The expression is too long.",
    "type": "The expression mixes kinds of values, or gives another than was asked for.",
    "unknown_name": "Nothing is known under a name, or not here.",
}

_OF_DOCUMENTS: Final = (
    "Codes that begin with `scenario.`, `template.`, `suite.` or `topology.`; what is said of "
    "other definitions that are needed begins with `definition.`"
)

GROUPS: Final[tuple[tuple[str, str, Mapping[str, str]], ...]] = (
    ("YAML", "Codes that begin with `yaml.`", YAML),
    (
        "Documents",
        _OF_DOCUMENTS,
        DOCUMENT,
    ),
    ("Expressions in documents", "Codes that begin with `expression.`", EXPRESSION),
)

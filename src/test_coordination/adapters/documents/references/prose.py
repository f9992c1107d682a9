"""What the page about the language says beside its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

INTRODUCTION: Final = """
Version 1. One YAML file holds one document. Every mistake in it is told at once, as
`file:line:column: what, what was expected, what to do`; `tcoord check FILE` does that, and an
editor with a server for YAML does most of it while you write, if the file begins with
`# yaml-language-server: $schema=PATH` and the path of
[scenario.schema.json](scenario.schema.json), which `tcoord schema` prints.
"""

DOCUMENTS: Final = """
The first key says what a document is: a **scenario** can be run, a **template** is extended by
scenarios and other templates, and a **suite** runs several scenarios.
"""

VALUES: Final = """
YAML is that of version 1.2: `no` is a text, no key stands twice, and there are no tags and no
merge keys.

| written | what it is |
| --- | --- |
| `250ms` `5s` `2m` `1h30m` `1d` | a duration: units from large to small, each once |
| `50%` or `50` | a share |
| `64MiB` `1GB` `512` | a size in bytes; `KB` is 1000 of them, `KiB` 1024, and so on |
| `exchange-db` | a name: small letters, digits and `-`, the first a letter |
| `order_latency` | the name of a probe or parameter: `_` in place of `-` |
| `"1 < 2"` | a condition: an expression, without anything around it |
| `${{ … }}` | an [expression](#expressions) |

A text that is one expression as a whole keeps the kind of its value; inside a longer text it is
filled in. `$${{` is a literal `${{`. A duration is of more than 0s and at most 1d unless its
table says otherwise.
"""

PARAMETERS: Final = """
What the person who starts a scenario may choose. One without a `default` must be given.
`min` and `max` belong to numbers, durations, shares and sizes, `values` to enums, `pattern` to
strings and services; those of a list hold for each item. A secret is never written down: its
value says where it is kept. It may be used only in the parameters of faults, actions and probes.
"""

STEPS: Final = """
Exactly one key says what a step does: its kind. Without `needs` a step waits for the one above
it.
"""

BACKGROUND: Final = """
With `background: true` the next step goes on as soon as this one has begun, a fault as soon as
it is injected. What ends by itself is waited for before the end of the scenario; what does not
ends at [`stop`](#stop-step), or when all other steps are over. The step itself may stand under the
key: `background: {action: http.post, with: {…}}`.
"""

CHECKS: Final = """
The entries of `preconditions`, `steady_state` and `postconditions`; `watch` is only for those of
`steady_state`. Each becomes a validation in the report. A condition that asks for a value that
is missing is inconclusive, never true.
"""

INHERITANCE: Final = """
`extends: NAME` takes all that the document does not say itself from a template or another
scenario; `extends: [A, B]` from several, of which the later ones win, and `NAME@3` from a stored
version. Looked up are the files beside the document, the folders of `TCOORD_LIBRARY`, the store,
and the shipped library.

- Maps are laid over each other key by key; a plain value or a list takes the place of the other.
- Entries of `steps`, checks, `stop_when` and `on_failure` are known by their `id`, also inside
  groups: one whose id is inherited is laid over that one, and a new one is added at the end.
- `tags` are those of all. `abstract` is not inherited, and neither is the first key.
- A parameter may be given a bare value, which is its new default. Its bounds may be narrowed.

| key | where | what it does |
| --- | --- | --- |
| `replace: true` | in an entry or a map | keeps nothing of what is inherited there |
| `before: ID`, `after: ID` | in an entry, new or inherited | says where it stands |
| `remove: [ID, …]` | in `steps: {remove: […], items: […]}` | drops inherited entries |
| `replace: true` | in `steps: {replace: true, items: […]}` | drops all inherited entries |
| `remove: [NAME, …]` | in `probes` and `parameters`, beside the others | drops those of the names |

`tcoord explain FILE` prints the document as it is in the end, and where each value comes from.
"""

EXPRESSIONS: Final = """
Expressions are [CEL](https://cel.dev). They stand alone where a condition is asked for, and in
`${{ … }}` elsewhere. Names and kinds are checked when a document is read. In a name, `-` is
spelled `_`. An integer and a number may be compared and mixed.
"""

NAMES: Final[tuple[tuple[str, str, str], ...]] = (
    ("parameters.NAME", "that of its type", "a parameter"),
    ("services.NAME.address", "string", "host and port of a service"),
    ("services.NAME.PORT", "integer", "the number of one of its ports"),
    ("services.NAME.instances", "integer", "how many there are of it"),
    ("services.NAME.criticality", "string", "what the topology says of it"),
    ("services.NAME.protected", "boolean", "whether the topology protects it"),
    ("links.NAME", "string", "host and port at which a link takes connections"),
    ("env.NAME", "string", "a variable that `TCOORD_ALLOWED_ENV` lists"),
    ("each.value, each.NAME", "any", "inside a step with `for_each`: the value of this copy"),
    ("each.index", "integer", "inside a step with `for_each`: which copy it is, from 0"),
    ("matrix.NAME", "any", "inside `with` of a suite: the value of this run"),
    ("execution.scenario", "string", "the name of what is run"),
    ("execution.seed", "integer", "what all chance is drawn from"),
    ("probes.NAME.last.FIELD", "that of the field", "the last reading"),
    ("probes.NAME.FIGURE", "number", "a figure of all readings, such as `p95_ms`"),
    ('probes.NAME.during("ID").FIGURE', "number", "of those while a step was under way"),
    ('probes.NAME.before("ID").FIGURE', "number", "of those before a step began"),
    ('probes.NAME.after("ID").FIGURE', "number", "of those after a step ended"),
    ("snapshots.ID.SERVICE.PART", "any", "what a snapshot step has captured"),
    ("steps.ID.result.FIELD", "any", "what a probe or action step has given"),
)

FACTS: Final[Mapping[str, str]] = {
    "steps.ID.outcome": "done, failed, cancelled or skipped",
    "steps.ID.error": "what went wrong, in words",
    "steps.ID.error_class": (
        "what kind of failure it was: `target_gone`, `refused`, `timed_out`, `not_privileged`, "
        "`unknown_outcome`, `worker_lost` or `our_bug`; empty if it did not fail"
    ),
    "steps.ID.started_at": "when it began",
    "steps.ID.ended_at": "when it ended",
    "steps.ID.took": "the time between the two",
    "faults.ID.status": "armed, injected, not_injected, reverted or revert_failed",
    "faults.ID.injected_at": "when its injection was confirmed",
    "faults.ID.reverted_at": "when its undo was verified",
    "faults.ID.held": "the time between the two",
    "execution.id": "the id of the execution",
    "execution.started_at": "when it began",
    "execution.elapsed": "how long it has been under way",
}

"""The two builds of the system: every weakness of the fragile one has its switch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """How carefully the services work.

    A service never asks which build it is: it asks for one of these promises, so that each
    weakness can be found by the name of the promise that the fragile build does not keep.
    """

    name: str

    # The exchange answers an order when it is in the database; otherwise it answers at once and
    # writes the order `write_behind_s` later, without a transaction.
    commits_before_answering: bool
    write_behind_s: float

    # A repeated order or settlement carries the key of the first attempt, and the provider answers
    # it with the first answer.
    keeps_keys: bool

    # The engine writes down what it is about to do before it does it, and reads its fills by their
    # numbers; otherwise it pops them from a list and writes them `pop_then_write_s` later.
    writes_intents: bool
    pop_then_write_s: float

    # Longest wait for another service or a store; None waits for ever.
    patience_s: float | None

    # Oldest price that is still traded on; None trades on any.
    price_age_s_max: float | None

    # The events of the exchange are rebuilt from its database when Redis has lost them.
    rebuilds_stream: bool

    # A change of several tables is one transaction.
    uses_transactions: bool

    # Work at hand is finished on SIGTERM.
    drains_on_stop: bool


FRAGILE: Final = Build(
    name="fragile",
    commits_before_answering=False,
    write_behind_s=0.3,
    keeps_keys=False,
    writes_intents=False,
    pop_then_write_s=1.0,
    patience_s=None,
    price_age_s_max=None,
    rebuilds_stream=False,
    uses_transactions=False,
    drains_on_stop=False,
)

HARDENED: Final = Build(
    name="hardened",
    commits_before_answering=True,
    write_behind_s=0.0,
    keeps_keys=True,
    writes_intents=True,
    pop_then_write_s=0.0,
    patience_s=2.0,
    price_age_s_max=2.0,
    rebuilds_stream=True,
    uses_transactions=True,
    drains_on_stop=True,
)

BUILDS: Final = {build.name: build for build in (FRAGILE, HARDENED)}

"""Secrets at the last moment: given to whoever needs them, and taken out of all that is told."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import ClassVar, Final, TypeVar, cast, overload

from test_coordination.application.engine.disguises import disguises, is_escape
from test_coordination.application.engine.hiding import Search, hidden, in_order, literals, loose
from test_coordination.application.ports import Secrets
from test_coordination.domain.errors import CoordinationError
from test_coordination.domain.events import Event
from test_coordination.domain.evidence import Sample, Snapshot, Validation
from test_coordination.domain.plan import Settled
from test_coordination.domain.secrets import (
    SecretUnavailableError,
    filled,
    placeholder,
    references,
    replaced,
)
from test_coordination.domain.values import Receipt

NAMES: Final = frozenset(
    {
        "after_fault", "check", "code", "expression", "fault", "finding", "outcome", "phase",
        "relation", "service", "services", "severity", "snapshot", "step", "verdict", "worker",
    }
)  # fmt: skip
"""The fields of events that only name things of a plan, and that the fold goes by."""

_SEALED: Final = re.compile(
    r"⟦secret (?:in (?P<disguise>[a-z0-9-]+) )?(?P<reference>(?:env|file):[^\0\n⟦⟧]+)⟧"
)
_Told = TypeVar("_Told", bound=Event | Validation)


@dataclass(eq=False, kw_only=True)
class HiddenError(CoordinationError):
    """Something failed, and its own words held a secret; ``cause`` is what may be told."""

    code: ClassVar[str] = "secret.hidden"

    cause: str

    def __str__(self) -> str:
        return f"a bug of ours: {self.cause}"


@dataclass(eq=False, kw_only=True)
class UnsealableError(CoordinationError):
    """A receipt holds a secret in a way in which it could not be put back."""

    code: ClassVar[str] = "secret.unsealable"

    def __str__(self) -> str:
        return (
            "the fault's receipt holds a secret in a way that cannot be restored, so it could not "
            "be undone; pass the secret in another parameter"
        )


class Vault:
    """The secrets that one execution has used so far.

    A secret is read each time that it is revealed, and remembered from then on: whatever is told
    afterwards is searched for it, also where it was escaped, for a URL, JSON, HTML or Python, or
    encoded in base64, and where it was cut off in the middle but for at least half of it. Numbers
    are not searched. While no secret was revealed nothing is looked at.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._known: dict[str, list[str]] = {}
        self._marks: Sequence[Search] = ()
        self._seals: Sequence[Search] = ()

    def reveal(self, parameters: Settled) -> Settled:
        """Return ``parameters`` with each placeholder replaced by its secret.

        Raises:
            SecretUnavailableError: a secret cannot be had from where it is kept.
        """
        wanted = dict.fromkeys(references(parameters))
        if not wanted:
            return parameters
        found = {reference: self._read(reference) for reference in wanted}
        return cast("Settled", replaced(parameters, partial(filled, secrets=found)))

    def seal(self, receipt: Receipt) -> Receipt:
        """Return ``receipt`` without secrets, so that `unseal` gives the very same back.

        Raises:
            UnsealableError: it could not be given back.
        """
        sealed = Receipt(hidden(receipt, self._seals))
        if self.unseal(sealed) != receipt or self.conceal(sealed) != sealed:
            raise UnsealableError
        return sealed

    def unseal(self, receipt: Receipt) -> Receipt:
        """Return what was sealed, perhaps by another process.

        A secret that this vault remembers is not read again: what was armed with it can be undone
        though it is gone from where it was kept.

        Raises:
            SecretUnavailableError: a secret cannot be had from where it is kept.
        """
        return Receipt(_SEALED.sub(self._disguised, receipt))

    @overload
    def conceal(self, value: str) -> str: ...
    @overload
    def conceal(self, value: Mapping[str, object]) -> Mapping[str, object]: ...
    @overload
    def conceal(self, value: object) -> object: ...
    def conceal(self, value: object) -> object:
        """Return ``value``, a JSON-like value, with a placeholder for each secret in its texts."""
        if not self._marks:
            return value
        return replaced(value, partial(hidden, searches=self._marks, pieces=True))

    def conceal_event(self, event: Event) -> Event:
        """Return ``event`` with no secret in it."""
        return self._concealed(event) if self._marks else event

    def conceal_sample(self, sample: Sample) -> Sample:
        """Return ``sample`` with no secret in what was read, or in why nothing was."""
        if not self._marks:
            return sample
        read = {name: self.conceal(value) for name, value in sample.fields.items()}
        return replace(sample, fields=read, error=self.conceal(sample.error))

    def conceal_snapshot(self, snapshot: Snapshot) -> Snapshot:
        """Return ``snapshot`` with no secret in what was captured, or in what could not be."""
        if not self._marks:
            return snapshot
        state = {service: self.conceal(parts) for service, parts in snapshot.state.items()}
        problems = tuple(map(self.conceal, snapshot.problems))
        return replace(snapshot, state=state, problems=problems)

    def conceal_error(self, error: Exception) -> Exception:
        """Return ``error``, or one instead of it, that tells no secret however it is printed.

        What led to an error that does is cut off from it.
        """
        if not self._tells(*_chain(error)):
            return error
        if isinstance(error, CoordinationError):
            for field in fields(error):
                setattr(error, field.name, self.conceal(getattr(error, field.name)))
            error.__cause__ = error.__context__ = None
            if not self._tells(error):
                return error
        return HiddenError(cause=self.conceal(_said(error)))

    def _tells(self, *errors: BaseException) -> bool:
        said = "".join(map(_said, errors))
        return self.conceal(said) != said

    def _concealed(self, told: _Told) -> _Told:
        changes: dict[str, object] = {}
        for field in fields(told):
            value = getattr(told, field.name)
            if field.name == "receipt":
                changes[field.name] = hidden(value, self._seals)
            elif isinstance(value, Validation):
                changes[field.name] = self._concealed(value)
            elif field.name not in NAMES:
                changes[field.name] = self.conceal(value)
        return replace(told, **changes)  # type: ignore[arg-type]  # each of the type it had

    def _read(self, reference: str) -> str:
        secret = self._secrets.reveal(reference)
        values = self._known.setdefault(reference, [])
        if not values or values[-1] != secret:
            values.append(secret)
            self._learn()
        return secret

    def _learn(self) -> None:
        """Prepare to look for all that is known.

        What stands for a secret is looked for, too, so that nothing is found inside of it.
        """
        marks: dict[str, str] = {}
        seals: dict[str, str] = {}
        escaped: list[Search] = []
        for reference, values in self._known.items():
            mark = placeholder(reference)
            for value in values:
                searched = loose(value, mark)
                escaped += searched
                for name, text in disguises(value).items():
                    seal = mark.replace("secret ", f"secret in {name} ", 1) if name else mark
                    seals.setdefault(text, seal)
                    marks[seal] = seals[seal] = seal
                    if not searched or not is_escape(name):
                        marks.setdefault(text, mark)
        self._marks = in_order([*escaped, *literals(marks)])
        self._seals = in_order(literals(seals))

    def _disguised(self, found: re.Match[str]) -> str:
        reference, name = found["reference"], found["disguise"] or ""
        known = self._known.get(reference)
        ways = disguises(known[-1] if known else self._read(reference))
        if name not in ways:
            cause = f"it is needed in the form {name!r}, which this version does not know"
            raise SecretUnavailableError(reference=reference, cause=cause)
        return ways[name]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and all that is printed with it."""
    yield error
    for other in (error.__cause__, error.__context__):
        if other is not None:
            yield from _chain(other)
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _chain(inner)


def _said(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()

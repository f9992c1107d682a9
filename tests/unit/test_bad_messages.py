"""Each message about the bad files is as somebody has read and approved it."""

from __future__ import annotations

import pytest

from support.bad_files import BAD, MESSAGES, messages

FOUND = messages()


@pytest.mark.parametrize("name", sorted(FOUND))
def test_what_is_told_of_bad_files_is_as_it_was_approved(name: str) -> None:
    approved = (MESSAGES / f"{name}.txt").read_text(encoding="utf-8")

    assert FOUND[name] == approved, "read the new ones, then: make messages"


def test_every_bad_file_has_a_message_and_every_text_is_of_some() -> None:
    together = "".join(FOUND.values())

    assert all(f"{path.name}:" in together for path in BAD.glob("*.yaml"))
    assert {path.stem for path in MESSAGES.glob("*.txt")} == set(FOUND)
    assert "nothing is wrong" not in together

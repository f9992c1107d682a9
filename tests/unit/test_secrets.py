"""Secrets where they are kept."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest

from test_coordination.adapters.secrets import KeptSecrets
from test_coordination.domain.secrets import SecretUnavailableError, placeholder, secret_paths


def refusal(kept: KeptSecrets, reference: str) -> str:
    """Return why there is no secret, as it is told with all that led to it."""
    with pytest.raises(SecretUnavailableError) as caught:
        kept.reveal(reference)
    assert str(caught.value).startswith(f"the secret {reference} is not to be had: ")
    return "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("pass", "pass"),
        ("pass\n", "pass"),
        ("pass\r\n", "pass"),
        ("pass\n\n", "pass\n"),
        ("pass\r", "pass\r"),
        (" pa ss ", " pa ss "),
        ("pä\nß€", "pä\nß€"),
        ("x" * 65_536 + "\n", "x" * 65_536),
        ("€" * 65_536, "€" * 65_536),
    ],
)
def test_a_secret_is_all_that_is_kept_but_for_one_newline_at_its_end(
    tmp_path: Path, text: str, secret: str
) -> None:
    (tmp_path / "kept").write_bytes(text.encode())
    kept = KeptSecrets({"NAME": text}, directory=tmp_path)

    assert kept.reveal("env:NAME") == secret
    assert kept.reveal("file:kept") == secret
    assert kept.reveal(f"file:{tmp_path}/kept") == secret


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "too short; expected at least 4 characters"),
        ("abc\n", "too short"),
        ("  @ \t\n", "too short"),
        ("x" * 65_537, "too long; expected at most 65536 characters"),
        ("€" * 65_537, "too long"),
    ],
)
def test_what_cannot_be_hidden_is_refused_and_not_told(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "kept").write_bytes(text.encode())
    kept = KeptSecrets({"NAME": text}, directory=tmp_path)

    for said in (refusal(kept, "env:NAME"), refusal(kept, "file:kept")):
        assert why in said
        assert not text.strip() or text.strip()[:60] not in said


def test_what_is_not_there_is_refused_with_where_it_was_looked_for(tmp_path: Path) -> None:
    kept = KeptSecrets({"OTHER": "secret"}, directory=tmp_path)

    assert "no such variable is set where the coordinator runs" in refusal(kept, "env:NAME")
    assert "the file cannot be read (No such file or directory)" in refusal(kept, "file:kept")


def test_what_is_no_text_is_refused_and_not_told(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"canary\xff\xfe")
    kept = KeptSecrets({"NAME": "canary\udcff"}, directory=tmp_path)

    for said in (refusal(kept, "env:NAME"), refusal(kept, "file:kept")):
        assert "no text in UTF-8" in said
        assert "canary" not in said.replace("test_secrets", "")
        assert "xff" not in said


def test_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    kept = KeptSecrets({}, directory=tmp_path)

    assert "it is no regular file" in refusal(kept, "file:pipe")
    assert "it is no regular file" in refusal(kept, "file:/dev/zero")
    assert "it is no regular file" in refusal(kept, "file:.")


def test_a_secret_is_read_as_it_is_now(tmp_path: Path) -> None:
    kept = KeptSecrets({}, directory=tmp_path)
    (tmp_path / "kept").write_text("first")
    first = kept.reveal("file:kept")
    (tmp_path / "kept").write_text("second")

    assert (first, kept.reveal("file:kept")) == ("first", "second")


def test_it_is_known_where_secrets_stand_in_parameters() -> None:
    mark = placeholder("env:TOKEN")
    given = {"a": mark, "b": ["x", {"c": f"<{mark}>"}, 7], "d": {"e": (None, mark)}, "f": "⟦secret"}

    assert set(secret_paths(given)) == {("a",), ("b", 1, "c"), ("d", "e", 1)}

"""Durations, as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from test_coordination.domain.values import (
    DURATION_TEXT_MAX,
    format_bytes,
    format_duration,
    parse_bytes,
    parse_duration,
)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("250ms", 250),
        ("5s", 5_000),
        ("1.5s", 1_500),
        ("2m", 120_000),
        ("1h30m", 5_400_000),
        ("1d", 86_400_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("0s", 0),
    ],
)
def test_a_duration_is_the_sum_of_its_terms(text: str, ms: int) -> None:
    assert parse_duration(text) == timedelta(milliseconds=ms)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "5 s",
        "5s ",
        "-5s",
        "1s1s",
        "1m1h",
        "5sx",
        "x5s",
        "1.s",
        "1e3s",
        "9" * 40 + "d",
        "0" * DURATION_TEXT_MAX + "1s",
    ],
)
def test_anything_else_is_no_duration(text: str) -> None:
    assert parse_duration(text) is None


@given(st.integers(0, 10**12))
def test_what_is_told_is_read_back(ms: int) -> None:
    value = timedelta(milliseconds=ms)

    assert parse_duration(format_duration(value)) == value


def test_what_is_told_is_rounded_and_keeps_its_sign() -> None:
    told = [timedelta(microseconds=1_600), -timedelta(seconds=90), timedelta(microseconds=-400)]

    assert [format_duration(value) for value in told] == ["2ms", "-1m30s", "0s"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("0B", 0), ("512B", 512), ("64MiB", 64 * 1024**2), ("1.5KiB", 1536), ("1GB", 1000**3)],
)
def test_sizes_are_read_and_written_to_the_byte(text: str, size: int) -> None:
    assert parse_bytes(text) == size
    assert parse_bytes(format_bytes(size)) == size


@pytest.mark.parametrize("text", ["", "1", "1 KB", "-1B", "1.5B", "1kb", "1PB", "9" * 40 + "B"])
def test_what_is_no_whole_number_of_bytes_is_none(text: str) -> None:
    assert parse_bytes(text) is None

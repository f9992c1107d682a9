"""Feeds bytes that reach new code to the way of documents: ``python fuzz_documents.py CORPUS …``.

It ends with the bytes in a file as soon as anything but an answer of ours comes back. The seeds
are the shipped scenarios and all good and bad files. Options are libFuzzer's.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["test_coordination.adapters.documents"]):
    from support.fuzzing import Way

WAY = Way()


def one(data: bytes) -> None:
    """Take ``data`` as far as it goes."""
    WAY.go(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()

"""A directory for embedded servers: unlike pytest's ``tmp_path``, open to the account of root's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def servers_directory() -> Iterator[Path]:
    """Lend a directory with a short path that everybody may pass; it is removed at the end.

    Root's servers run as nobody, to whom pytest keeps its own directories shut.
    """
    directory = Path(tempfile.mkdtemp(prefix="servers-", dir="/tmp"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)

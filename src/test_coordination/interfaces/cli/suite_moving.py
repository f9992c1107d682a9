"""The entries of a suite as a picture that is drawn again and again on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from test_coordination.application.suite_runs import EntryResult
from test_coordination.domain.values import StepId
from test_coordination.domain.verdicts import Verdict

STYLES: Final = {
    None: "yellow",
    Verdict.HELD: "green",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.STOPPED: "yellow",
}
FRAMES_PER_S: Final = 8


class MovingEntries:
    """What is settled scrolls by above; below stands what runs, and for how long."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running: dict[StepId, tuple[EntryResult, float]] = {}

    def show(self, entry: EntryResult) -> None:
        """See `EntriesShown.show`."""
        if not entry.settled:
            self._running[entry.id] = (entry, monotonic())
            return
        _, began = self._running.pop(entry.id, (entry, monotonic()))
        verdict = entry.verdict
        text = Text(f"{monotonic() - began:6.1f} s  ", style="dim")
        text.append(f"{entry.id}: ")
        text.append((verdict or "not begun").replace("_", " "), style=STYLES.get(verdict, "red"))
        text.append(f"  {entry.why or entry.scenario}", style="dim")
        self._console.print(text)

    def picture(self) -> RenderableType:
        """Return what stands below at this moment."""
        if not self._running:
            return Spinner("dots", text="starting")
        table = Table.grid(padding=(0, 2))
        for entry, began in self._running.values():
            table.add_row(
                Spinner("dots"),
                Text(entry.id, style="bold"),
                Text(entry.scenario),
                Text(f"{monotonic() - began:5.1f} s"),
            )
        return table


@contextmanager
def moving_entries() -> Iterator[MovingEntries]:
    """Draw on the terminal for as long as the body runs."""
    console = Console(highlight=False)
    told = MovingEntries(console)
    with Live(
        console=console,
        get_renderable=told.picture,
        refresh_per_second=FRAMES_PER_S,
        transient=True,
    ):
        yield told

"""Where ``tcoord`` and ``python -m test_coordination`` begin: give the commands their program."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Final

from test_coordination.interfaces.cli.app import cli

NEW_OBJECTS: Final = 10_000
"""How many more objects than before there are when the program looks for circles among them."""


class LaterProgram:
    """The program of the command line, put together when a command first asks it for something.

    Help, completion and mistakes in the arguments need none of it, and should not wait; what
    needs no server should not wait for what does.
    """

    def __getattr__(self, name: str) -> object:
        """Return that part of the program, and keep it."""
        if name == "desk":
            self.desk = import_module("test_coordination.authoring").AuthorsDesk()
            return self.desk
        if name == "controls":
            self.controls = import_module("test_coordination.reaching").configured_controls
            return self.controls
        program = import_module("test_coordination.program").CommandProgram()
        self.__dict__.update(
            {part: getattr(program, part) for part in dir(program) if part[0] != "_"}
        )
        return getattr(program, name)


def collect_rarely() -> None:
    """Have Python look for circles of objects that nobody needs less often than it would.

    An execution comes with hundreds of objects, and hardly any of its own are in a circle: a look
    after each 700, as it is by default, takes nearly a tenth of a worker's time.
    """
    gc.set_threshold(NEW_OBJECTS)


def main() -> None:
    """Run the command line."""
    collect_rarely()
    cli(obj=LaterProgram(), prog_name="tcoord")


if __name__ == "__main__":
    main()

"""Where ``tcoord`` and ``python -m test_coordination`` begin: give the commands their program."""

from __future__ import annotations

from importlib import import_module

from test_coordination.interfaces.cli.app import cli


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


def main() -> None:
    """Run the command line."""
    cli(obj=LaterProgram(), prog_name="tcoord")


if __name__ == "__main__":
    main()

"""Commands that are imported when they are called: the program's help need not import what they work with."""

import atexit
import gc
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_FOLDER = Path(__file__).with_name("commands")


class LazyCommand(TyperCommand):
    """Stands for the command of one file, of which it knows no more than the docstring.

    Args:
        module: The file's name; the command is called so, but for `-` in place of `_`.
    """

    def __init__(self, module: str) -> None:
        source = (_FOLDER / f"{module}.py").read_text(encoding="utf-8")
        _, docstring, _ = source.split('"""', 2)
        super().__init__(name=module.rstrip("_").replace("_", "-"), help=docstring)
        self.module = module

    # Typer brings a copy of Click along, whose classes have no public names: hence Any.
    def load(self) -> Any:  # noqa: ANN401
        """Return the command, or the group of commands, itself."""
        # What is imported stays: to look for garbage among it takes a tenth of the time, and finds none.
        gc.disable()
        try:
            command = import_module(f"{__package__}.commands.{self.module}").command
        finally:
            gc.enable()
        gc.freeze()
        # Nor is there any to be found at the end: what is left then goes with the process.
        atexit.register(gc.freeze)
        if not isinstance(command, typer.Typer):
            command, function = typer.Typer(add_completion=False, rich_markup_mode="markdown"), command
            command.command(self.name, help=self.help)(function)
        return typer.main.get_command(command)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: Any = None,  # noqa: ANN401
        **extra: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Return what the command itself makes of its arguments.

        Raises:
            SettingsError: The command does not serve the warehouse that is set.
        """
        if not {"--help"} & set(args):
            import_module(f"{__package__}.warehouses").require_served(self.module)
        return self.load().make_context(info_name, args, parent, **extra)


def group_of(*modules: str) -> type[TyperGroup]:
    """Return a group of the commands in these files, in this order."""

    class Group(TyperGroup):
        def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - as Typer passes them
            super().__init__(**attributes)
            for module in modules:
                self.add_command(LazyCommand(module))

    return Group

"""Commands that other packages add to `llmx`, found by their entry points.

A package names a typer app in the group `llmx.commands` of its `pyproject.toml`:

    [project.entry-points."llmx.commands"]
    experiment = "loadtest.experiments.command:app"

So `llmx` has commands that stand above the gateway, and the gateway imports none of them. They are
looked for when somebody asks for one, or for the list: whoever starts a gateway pays nothing for
them. A command of the gateway's own goes before one of the same name.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

GROUP = "llmx.commands"


class Added(TyperGroup):
    """The commands of the gateway, and those that were added."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name, None when nobody has it."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        return next((loaded(point) for point in added() if point.name == cmd_name), None)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands, the gateway's own first."""
        own = super().list_commands(ctx)
        return [*own, *(point.name for point in added() if point.name not in own)]


def added() -> list[EntryPoint]:
    """Return what other packages add, by name."""
    return sorted(entry_points(group=GROUP), key=lambda point: point.name)


def loaded(point: EntryPoint) -> Any:
    """Return an added command. One that cannot be loaded says why, and ends with exit code 1."""
    try:
        app = point.load()
        assert isinstance(app, typer.Typer), f"{point.value} is no typer app"
    except Exception as error:  # noqa: BLE001 - one broken package must not hide the others
        app = _broken(point.name, f"{type(error).__name__}: {error}")
    command = get_command(app)
    command.name = point.name
    return command


def _broken(name: str, why: str) -> typer.Typer:
    app = typer.Typer(help=f"Cannot be used: {why}", add_completion=False)

    # Whatever was asked of it, the answer is the same.
    @app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
    def complain() -> None:
        typer.echo(f"{name} cannot be used: {why}", err=True)
        raise typer.Exit(1)

    return app

"""How a verb is declared: `app = group(...)`, then `@verb(app)` over a plain function.

Every verb gets the common options (target, format, fields) without naming them; their values
land in `sttui.cli.invocation.current`. Help is plain text, so that it costs no time and reads the
same in a pipe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from sttui.cli.invocation import FORMATS, current

F = TypeVar("F", bound=Callable[..., Any])


def _host(value: str | None) -> None:
    if value is not None:
        current.host = value


def _format(value: str | None) -> None:
    if value is None:
        return
    if value not in FORMATS:
        raise typer.BadParameter(f"{value!r} is not one of {', '.join(FORMATS)}")
    current.format = value


def _json(value: bool) -> None:
    if value:
        current.format = "json"


def _fields(value: str | None) -> None:
    if value is not None:
        current.fields = tuple(name.strip() for name in value.split(",") if name.strip())


def _no_headers(value: bool) -> None:
    if value:
        current.headers = False


def _debug(value: bool) -> None:
    if value:
        current.debug = True


def _formats(incomplete: str) -> list[str]:
    return [name for name in FORMATS if name.startswith(incomplete)]


def _hosts(incomplete: str) -> list[tuple[str, str]]:
    from sttui.cli.complete import hosts

    return hosts(incomplete)


def _common(
    host: str | None = typer.Option(
        None,
        metavar="HOST",
        callback=_host,
        expose_value=False,
        autocompletion=_hosts,
        help="Daemon to talk to: a name of hosts.toml, user@box, ssh://… or unix://…",
    ),
    output: str | None = typer.Option(
        None,
        "-o",
        "--output",
        metavar="FORMAT",
        callback=_format,
        expose_value=False,
        autocompletion=_formats,
        help="table, wide, json, jsonl, yaml, csv or id.",
    ),
    json: bool = typer.Option(
        False, "--json", callback=_json, expose_value=False, help="Same as -o json."
    ),
    fields: str | None = typer.Option(
        None,
        metavar="A,B",
        callback=_fields,
        expose_value=False,
        help="Only these fields, in this order.",
    ),
    no_headers: bool = typer.Option(
        False, "--no-headers", callback=_no_headers, expose_value=False, help="No header line."
    ),
    debug: bool = typer.Option(
        False,
        "--debug",
        callback=_debug,
        expose_value=False,
        help="Show a traceback when something fails inside.",
    ),
) -> None:
    """Options of every verb."""


def common_params() -> list[Any]:
    """Fresh parameter objects of the common options."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(_common)
    return list(typer.main.get_command(app).params)


class Verb(TyperCommand):
    """A command with the common options after its own."""

    def __init__(self, name: str | None, **options: Any) -> None:
        super().__init__(name, **options)
        self.params = [*self.params, *common_params()]


def group(help: str) -> typer.Typer:
    """A set of verbs; `help` is its line in the overview."""
    return typer.Typer(
        help=help, add_completion=False, rich_markup_mode=None, no_args_is_help=False
    )


def verb(app: typer.Typer, name: str | None = None, **options: Any) -> Callable[[F], F]:
    """Declare a function as a verb of `app`; its docstring is its help."""

    def declare(function: F) -> F:
        app.command(name, cls=Verb, **options)(function)
        return function

    return declare


def commands_of(app: typer.Typer) -> TyperGroup:
    return typer.main.get_group(app)

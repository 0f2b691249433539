"""The root command: verbs are imported only when they are called.

The overview, did-you-mean and completion of verb names work from the static table. Importing this
module costs typer and nothing else.
"""

from __future__ import annotations

import difflib
import importlib
from typing import Any

import typer
from typer.core import TyperGroup

from sttui.cli.verb import commands_of, common_params
from sttui.cli.verbs import SECTIONS, VERBS, Entry

INTRO = (
    "Fine-tune diffusion models from a terminal.\n\n"
    "Without a verb on a terminal, the full-screen interface opens; it takes --host, --read-only "
    "and --ascii."
)


class _Listed(TyperGroup):
    """A verb as the overview and completion see it: its line of help, nothing imported."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name=name, help=entry.help, hidden=not entry.section)


class Root(TyperGroup):
    """Looks verbs up in the table and loads the module of the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = VERBS.get(cmd_name)
        if entry is None:
            return None
        if ctx.resilient_parsing and not ctx.args and not ctx._protected_args:
            return _Listed(cmd_name, entry)
        return load(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        from sttui.cli.failure import usage

        if not ctx.resilient_parsing and args[0] not in VERBS and not args[0].startswith("-"):
            visible = [name for name, entry in VERBS.items() if entry.section]
            near = difflib.get_close_matches(args[0], visible, n=3, cutoff=0.5)
            fix = f"did you mean {' or '.join(near)}?" if near else "see stune --help"
            raise usage(f"there is no verb {args[0]!r}", fix=fix)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write_usage("stune", "[OPTIONS] [VERB] [ARGS]...")
        formatter.write_paragraph()
        formatter.write_text(INTRO)
        for section in SECTIONS:
            rows = [(name, e.help) for name, e in VERBS.items() if e.section == section]
            with formatter.section(section):
                formatter.write_dl(rows, col_max=12)
        options = [record for p in self.get_params(ctx) if (record := p.get_help_record(ctx))]
        with formatter.section("Options (also after the verb)"):
            formatter.write_dl(options)


def load(name: str) -> Any:
    """The command object of a verb, importing its module."""
    entry = VERBS[name]
    module = importlib.import_module(f"sttui.cli.{entry.module}")
    if entry.group:
        group = commands_of(module.GROUP)
        group.name = name
        return group
    return commands_of(module.app).commands[name]


def _version(value: bool) -> None:
    if value:
        from sttui.cli.about import print_version

        print_version()
        raise typer.Exit(0)


def _root(
    version: bool = typer.Option(
        False,
        "--version",
        is_eager=True,
        expose_value=False,
        callback=_version,
        help="Print the version and exit.",
    ),
) -> None:
    """Root options."""


def build() -> TyperGroup:
    """The root command, ready to be called."""
    app = typer.Typer(cls=Root, add_completion=False, rich_markup_mode=None)
    app.callback(invoke_without_command=False)(_root)
    root = typer.main.get_group(app)
    root.params = [*common_params(), *root.params]
    return root

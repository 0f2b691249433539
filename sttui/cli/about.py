"""Verbs about the program itself: info, spec, completion, version."""

from __future__ import annotations

import typer

from sttui.cli import output
from sttui.cli.verb import group, verb
from sttui.format.columns import column

app = group("About the program.")
DISTRIBUTION = "simpletuner-terminal"


def version_text() -> str:
    """Version of the installed distribution."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0+source"


def print_version() -> None:
    output.text("version/1", version_text(), {"version": version_text()})


@verb(app)
def version() -> None:
    """Print the version."""
    print_version()


@verb(app)
def info() -> None:
    """Print versions and paths."""
    import platform

    from stdaemon.client.hosts import hosts_file, read_hosts
    from stdaemon.client.transport.unix import default_socket
    from trainer.config.presets import folders
    from trainer.runs.homes import cache_home, config_home, data_home

    facts = {
        "version": version_text(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "config": str(config_home()),
        "data": str(data_home()),
        "cache": str(cache_home()),
        "socket": str(default_socket()),
        "presets": [str(path) for path, _ in folders()],
        "hosts_file": str(hosts_file()),
        "hosts": sorted(read_hosts()),
    }
    columns = [column(name, text=lambda r, n=name: _listed(r[n])) for name in facts]
    output.record("info/1", facts, columns)


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@verb(app)
def spec() -> None:
    """Print all verbs, options and exit codes as JSON."""
    from sttui.cli.specification import specification

    output.document("spec/1", specification())


def _shells(incomplete: str) -> list[str]:
    return [name for name in ("bash", "zsh", "fish") if name.startswith(incomplete)]


@verb(app)
def completion(
    shell: str = typer.Argument(..., help="bash, zsh or fish", autocompletion=_shells),
) -> None:
    """Print the completion script of a shell.

    bash: eval "$(stune completion bash)"; zsh: the same with zsh; fish: stune completion fish |
    source. Put the line into the start-up file of the shell.
    """
    from sttui.cli.complete import script

    output.raw(script(shell))

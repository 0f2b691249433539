"""The program `stune`: with a verb the command line, without one on a terminal the interface.

Only what the chosen side needs is imported; the command line never imports Textual.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass


@dataclass(slots=True)
class Options:
    """What the interface can be told on the command line."""

    host: str | None = None
    read_only: bool = False
    ascii: bool = False
    debug: bool = False


def main() -> int:
    """Entry point; returns the exit code."""
    options = None if "_STUNE_COMPLETE" in os.environ else _interface_options(sys.argv[1:])
    if options is None:
        from sttui.cli.main import main as run_verb

        return run_verb()
    if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        from sttui.cli.main import guarded

        return guarded(lambda: _open_interface(options), sys.argv[1:])
    from sttui.cli import narrate

    narrate.say("stune needs a terminal for its full-screen interface, or a verb:")
    narrate.say("  stune demo           train a real adapter on the built-in model")
    narrate.say("  stune run FILE       queue a job and follow it")
    narrate.say("  stune jobs           list jobs")
    narrate.say("  stune --help         all verbs")
    return narrate.USAGE


def _open_interface(options: Options) -> int:
    from sttui.cli.invocation import current

    current.debug = options.debug
    from sttui.tui.app import run

    return run(options.host, read_only=options.read_only, ascii=options.ascii)


def _interface_options(argv: list[str]) -> Options | None:
    """Options of the interface, or None when the arguments are a command line."""
    options, rest = Options(), list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--read-only":
            options.read_only = True
        elif word == "--ascii":
            options.ascii = True
        elif word == "--debug":
            options.debug = True
        elif word == "--host" and rest:
            options.host = rest.pop(0)
        elif word.startswith("--host="):
            options.host = word.removeprefix("--host=")
        else:
            return None
    return options


if __name__ == "__main__":
    sys.exit(main())

"""The program `stune`: with a verb the command line, without one on a terminal the interface.

Only what the chosen side needs is imported; the command line never imports Textual.
"""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Entry point; returns the exit code."""
    if sys.argv[1:] or "_STUNE_COMPLETE" in os.environ:
        from sttui.cli.main import main as run_verb

        return run_verb()
    if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        from sttui.tui.app import run

        return run()
    from sttui.cli import narrate

    narrate.say("stune needs a terminal for its full-screen interface, or a verb:")
    narrate.say("  stune demo           train a real adapter on the built-in model")
    narrate.say("  stune run FILE       queue a job and follow it")
    narrate.say("  stune jobs           list jobs")
    narrate.say("  stune --help         all verbs")
    return narrate.USAGE


if __name__ == "__main__":
    sys.exit(main())

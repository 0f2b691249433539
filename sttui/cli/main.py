"""Run one command line: call the verb, turn every outcome into an exit code.

Nothing leaves this module as a traceback unless `--debug` was given: user mistakes, an absent
daemon, an interrupt and defects of ours all end as findings on stderr (and on stdout with
`--json`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sttui.cli import narrate, output
from sttui.cli.failure import CliError, ReaderGone
from sttui.cli.invocation import current

if TYPE_CHECKING:
    from typer.exceptions import TyperException

    from trainer.findings import Finding

PROGRAM = "stune"
COMPLETE_VARIABLE = "_STUNE_COMPLETE"


def main(argv: Sequence[str] | None = None) -> int:
    """Run `argv` and return the exit code."""
    current.reset()
    args = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _run(args), args)


def guarded(action: Callable[[], int], args: Sequence[str]) -> int:
    """The exit code of `action`; whatever it raises is told as findings."""
    try:
        return action()
    except ReaderGone:
        _silence_stdout()
        return narrate.BROKEN_PIPE
    except KeyboardInterrupt:
        narrate.say("interrupted", "dim")
        return narrate.SIGINT
    except Exception as error:
        try:
            return _failed(error, args)
        except ReaderGone:
            _silence_stdout()
            return narrate.BROKEN_PIPE


def _run(args: list[str]) -> int:
    from sttui.cli.root import build

    root = build()
    if COMPLETE_VARIABLE in os.environ:
        from sttui.cli.complete import answer

        return answer(root)
    result = root.main(args, prog_name=PROGRAM, standalone_mode=False)
    return result if isinstance(result, int) and not isinstance(result, bool) else narrate.OK


def _failed(error: Exception, args: Sequence[str]) -> int:
    """Tell what went wrong and choose the exit code."""
    import typer
    from typer.exceptions import TyperException

    if "--json" in args and current.format == "table":
        current.format = "json"  # the mistake may stand before the option was read
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort):
        return narrate.SIGINT
    if current.debug and not isinstance(error, CliError | TyperException):
        import traceback

        narrate.say(traceback.format_exc().rstrip())
    code, findings = _explained(error)
    narrate.report(findings)
    output.failure(findings)
    return code


def _explained(error: Exception) -> tuple[int, Sequence[Finding]]:
    """Exit code and findings of any exception."""
    from typer.exceptions import TyperException

    from stdaemon.client.errors import ClientError
    from trainer.errors import TrainerError
    from trainer.findings import finding

    match error:
        case CliError():
            return error.exit_code, error.findings
        case ClientError():
            return error.exit_code, error.findings
        case TrainerError():
            return narrate.exit_of_trainer(error.exit_code), error.findings
        case TyperException():
            return narrate.USAGE, (_usage_finding(error),)
        case OSError():
            place = str(error.filename or "")
            said = error.strerror or str(error)
            item = finding("ENV118", said, where=place, fix="check the path, its rights and space")
            return narrate.FINDINGS, (item,)
        case _:
            said = f"{type(error).__name__}: {error}"
            item = finding("ENV116", said, fix="run it again with --debug and report the traceback")
            return narrate.FAILED, (item,)


def _usage_finding(error: TyperException) -> Finding:
    """A mistake that the parser found, in our form and with the nearest right word."""
    from trainer.findings import finding

    ctx = getattr(error, "ctx", None)
    where = ctx.command_path if ctx is not None else PROGRAM
    text = " ".join(error.format_message().split())
    for hint in (" Did you mean", " (Possible options"):
        text = text.partition(hint)[0]
    near = _near(text.rstrip(".?").rpartition(" ")[2].strip("'"), ctx)
    fix = f"did you mean {' or '.join(near)}?" if near else f"see {where} --help"
    return finding("ENV112", text[:1].lower() + text[1:].rstrip("."), where=where, fix=fix)


def _near(typed: str, ctx: Any) -> list[str]:
    """Verbs or options of the command that resemble the mistyped word."""
    import difflib

    if ctx is None or not typed:
        return []
    known = list(getattr(ctx.command, "commands", {}))
    if typed.startswith("-"):
        known = [option for param in ctx.command.params for option in param.opts]
    return difflib.get_close_matches(typed, known, n=2, cutoff=0.75)


def _silence_stdout() -> None:
    """Let the interpreter's last flush succeed although the reader has gone."""
    with open(os.devnull, "w") as null:
        os.dup2(null.fileno(), sys.stdout.fileno())

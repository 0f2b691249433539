"""The error of the command line itself: a finding and the exit code it ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.findings import Finding


class CliError(Exception):
    """A user mistake or an outcome that ends the command; never shown as a traceback."""

    def __init__(self, exit_code: int, *findings: Finding) -> None:
        super().__init__(str(findings[0]) if findings else "")
        self.exit_code = exit_code
        self.findings = findings


class ReaderGone(Exception):
    """Nobody reads stdout any more; not an OSError, which the parser would end with code 1."""


def usage(message: str, *, fix: str = "", where: str = "", **evidence: Any) -> CliError:
    """A command line that cannot be understood (exit 2)."""
    from trainer.findings import finding

    return CliError(2, finding("ENV112", message, where=where, fix=fix, **evidence))

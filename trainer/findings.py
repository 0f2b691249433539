"""The one record in which every check reports what it found.

A finding says what is wrong, where, why it matters and how to mend it, and carries a stable
code. Linters, the data layer, checkpoints, the daemon and the doctor all emit it; the CLI and the
TUI render it. A code without a paragraph in `CODES` is a programming error and is refused when the
finding is made.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from trainer.finding_codes import CODES

Level = Literal["info", "warn", "error"]

LEVELS: tuple[Level, ...] = ("info", "warn", "error")


class Finding(BaseModel):
    """One observation with its reason and its remedy."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str
    level: Level = "error"
    where: str = Field(default="", description="file, file:line, key path or object id")
    message: str
    why: str = ""
    fix: str = ""
    patch: dict[str, Any] | None = Field(
        default=None, description="key path -> new value (None removes the key)"
    )
    evidence: dict[str, Any] = Field(default_factory=dict)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        fix = f" Fix: {self.fix}" if self.fix else ""
        return f"{self.level} {self.code} {place}{self.message}{fix}"


def finding(
    code: str,
    message: str,
    *,
    where: str = "",
    why: str = "",
    fix: str = "",
    level: Level = "error",
    patch: dict[str, Any] | None = None,
    **evidence: Any,
) -> Finding:
    """Make a finding whose code is documented."""
    assert code in CODES, f"finding code {code} has no entry in trainer.finding_codes"
    return Finding(
        code=code,
        level=level,
        where=where,
        message=message,
        why=why,
        fix=fix,
        patch=patch,
        evidence=evidence,
    )


def at_or_above(findings: list[Finding], level: Level) -> list[Finding]:
    """The findings whose level is `level` or more severe."""
    floor = LEVELS.index(level)
    return [f for f in findings if LEVELS.index(f.level) >= floor]

"""What a rule reports: a finding without its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trainer.findings import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    code: str
    key: str
    message: str
    why: str = ""
    fix: str = ""
    level: Level = "error"
    patch: dict[str, Any] | None = None

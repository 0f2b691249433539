"""What an import hands over: the job, what became of every source key, and what the run means.

The records are the same for every tool that is imported from. Nothing is guessed silently: a key
of the source is mapped, approximated, unsupported or ignored, and each but the first says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from trainer.findings import Finding

Status = Literal["mapped", "approximated", "unsupported", "ignored"]

STATUSES: tuple[Status, ...] = ("mapped", "approximated", "unsupported", "ignored")


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key of the source; `to` is a key path of the job, `where` the source's file:line."""

    key: str
    status: Status
    to: str = ""
    note: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Default:
    """A value that the source leaves to its program, written out because ours is another."""

    key: str
    value: Any
    to: str


@dataclass(frozen=True, slots=True)
class Meaning:
    """One figure of the run, as the source computes it and as the imported job does."""

    source: Any
    here: Any
    note: str = ""

    @property
    def equal(self) -> bool:
        return self.source == self.here


@dataclass(slots=True)
class Imported:
    """The outcome of an import; `text` is the job file, `config` the same as data."""

    tool: str
    config: dict[str, Any]
    text: str
    keys: list[KeyRecord]
    semantics: dict[str, Meaning]
    defaults: list[Default]
    findings: list[Finding] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The `data` of the JSON document `import/1`."""
        return {
            "tool": self.tool,
            "config": self.config,
            "keys": [
                {"key": k.key, "status": k.status, "to": k.to, "note": k.note, "where": k.where}
                for k in self.keys
            ],
            "semantics": {
                name: {"source": m.source, "here": m.here, "equal": m.equal, "note": m.note}
                for name, m in self.semantics.items()
            },
            "defaults": [{"key": d.key, "value": d.value, "to": d.to} for d in self.defaults],
        }

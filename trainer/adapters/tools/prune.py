"""Leave layers out on purpose: by pattern, by the size of their change, or because they are broken.

Patterns are shell patterns over diffusers' names (`transformer_blocks.1[0-9].*`); what goes is
listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from trainer.adapters.tools import spectrum
from trainer.adapters.tools.output import claim, one_family, same_layout, told_family
from trainer.adapters.tools.read import incomplete, load
from trainer.adapters.tools.record import Part
from trainer.adapters.tools.write import save
from trainer.errors import DataError
from trainer.findings import Finding, finding


@dataclass(frozen=True, slots=True)
class Choice:
    drop: Sequence[str] = ()
    keep: Sequence[str] = ()  # all others go
    below: float | None = None  # norm of the change
    unknown: bool = False  # tensors that nobody understands, and incomplete layers

    def reason(self, part: Part) -> str | None:
        """Why the layer goes; None: it stays."""
        if part.missing:
            return "incomplete"
        if self.keep and not _any(self.keep, part):
            return "not kept"
        if _any(self.drop, part):
            return "dropped"
        if self.below is not None:
            size = spectrum.norm(part)
            if size is not None and size < self.below:
                return f"norm {size:.3g}"
        return None


def _any(patterns: Sequence[str], part: Part) -> bool:
    return any(fnmatchcase(part.module, p) or fnmatchcase(part.component, p) for p in patterns)


def prune(
    file: Path, out: Path, choice: Choice, *, family: str | None = None, force: bool = False
) -> tuple[dict[str, Any], list[Finding]]:
    adapter, findings = load(file, family)
    findings += [incomplete(str(file), part) for part in adapter.parts if part.missing]
    if findings and not choice.unknown:
        raise DataError(findings[0], *findings[1:])
    certain = one_family(file, adapter)
    dead = [p for p in (*choice.drop, *choice.keep) if not any(_any([p], q) for q in adapter.parts)]
    if dead:
        raise _selection(file, f"{', '.join(dead)} means no layer")
    reasons = {part.name: choice.reason(part) for part in adapter.parts}
    left = [part for part in adapter.parts if reasons[part.name] is None]
    if not left:
        raise _selection(file, "no layer would be left")
    claim(out, force=force)
    save(out, adapter.with_parts(left), same_layout(adapter), certain)
    gone = [{"layer": name, "why": why} for name, why in reasons.items() if why is not None]
    told = [f.model_copy(update={"level": "warn"}) for f in findings]
    return {
        "file": str(out),
        "family": told_family(adapter),
        "layers": len(left),
        "pruned": gone,
    }, told


def _selection(file: Path, message: str) -> DataError:
    fix = "stune lora inspect lists the names of the layers"
    return DataError(finding("LOR031", message, where=str(file), fix=fix))

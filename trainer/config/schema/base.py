"""What every section shares.

Unknown keys are refused, values do not change after reading, and types are strict: a text is not
a number, so that `steps = "100"` is told instead of guessed. The docstring under a field is its
documentation; `changes` says what setting the key acts on. Both are read by `trainer.config.keys`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Aspect = Literal["memory", "time", "disk", "result"]


class Section(BaseModel):
    """Base of all sections."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


def changes(*aspects: Aspect, path: Literal["path", "model", ""] = "") -> dict[str, Any]:
    """Field metadata: what the key acts on; `path` marks a path (`model`: or a hub id)."""
    return {"changes": list(aspects)} | ({"path": path} if path else {})

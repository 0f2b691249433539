"""What must be equal for a checkpoint to continue a run (B01 "Identity").

Steps, intervals and validation prompts may always change; anything listed here changes what the
remaining steps would compute and is refused unless the user allows that field by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from torch import Tensor

from trainer.errors import IdentityMismatch
from trainer.findings import finding


def shapes_digest(tensors: Mapping[str, Tensor]) -> str:
    """Digest of trainable names and shapes."""
    text = "\n".join(f"{k}{tuple(v.shape)}" for k, v in sorted(tensors.items()))
    return blake2b(text.encode(), digest_size=10).hexdigest()


def differences(
    stored: Mapping[str, Any], current: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    return {
        key: (stored.get(key), current.get(key))
        for key in sorted(stored.keys() | current.keys())
        if stored.get(key) != current.get(key)
    }


def check_identity(
    stored: Mapping[str, Any], current: Mapping[str, Any], *, allow: Sequence[str], where: str
) -> list[str]:
    """Names of allowed differences; raises IdentityMismatch for any other."""
    found = differences(stored, current)
    refused = [key for key in found if key not in allow]
    if refused:
        listed = ", ".join(f"{k} was {found[k][0]!r}, is {found[k][1]!r}" for k in refused)
        raise IdentityMismatch(
            finding(
                "RUN005",
                f"the run directory holds a checkpoint of another run: {listed}",
                where=where,
                why="continuing would mix two different trainings",
                fix=f"use a new run directory, or allow it: checkpoint.allow = {refused!r}".replace(
                    "'", '"'
                ),
                fields=refused,
            )
        )
    return list(found)

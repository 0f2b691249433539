"""The kernel of the denoiser's attention, set from outside (techniques.md §2.4)."""

from __future__ import annotations

from typing import Any

from trainer.catalog.attention import ATTENTION
from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.memory.quant_backends import quiet

KEY = "compute.attention.backend"


def use_attention(denoiser: Any, name: str) -> int:
    """Set the kernel; returns how many attention layers take it. None at all is a finding."""
    wanted = ATTENTION[name].backend
    try:
        with quiet():
            denoiser.set_attention_backend(wanted)
    except (ImportError, RuntimeError, ValueError) as error:
        raise ConfigError(
            finding(
                "ENV012",
                f"the attention {name} cannot be used here: {error}",
                where=KEY,
                fix=f"install what it needs, or remove {KEY}",
            )
        ) from error
    taken = [m for m in denoiser.modules() if _backend(m) == wanted]
    if not taken:
        raise ConfigError(
            finding(
                "CFG293",
                f"no attention of {type(denoiser).__name__} takes another kernel",
                where=KEY,
                why="its layers call torch directly, which chooses by itself",
                fix=f"remove {KEY}",
                patch={KEY: None},
            )
        )
    return len(taken)


def _backend(module: Any) -> str | None:
    chosen = getattr(getattr(module, "processor", None), "_attention_backend", None)
    return None if chosen is None else str(chosen.value)

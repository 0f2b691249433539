"""From one layout to another, without loss: the tensors stay the same to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.adapters.tools.output import claim, one_family, told_family
from trainer.adapters.tools.read import load_whole
from trainer.adapters.tools.write import save


def convert(
    file: Path, out: Path, *, layout: str, family: str | None = None, force: bool = False
) -> dict[str, Any]:
    """Write `file` again as `out`; what was done."""
    adapter = load_whole(file, family)
    certain = one_family(file, adapter, layout)
    claim(out, force=force)
    save(out, adapter, layout, certain)
    return {
        "file": str(out),
        "family": told_family(adapter),
        "from": adapter.layout,
        "layout": layout,
        "layers": len(adapter.parts),
    }

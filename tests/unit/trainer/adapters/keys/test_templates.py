"""The names of all layers of all families, as the files of the toolbox need them.

    python -m tests.unit.trainer.adapters.keys.test_templates

writes `modules.json` again after a family was added.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from torch import nn

from tests.support.families import KINDS, make_tiny, tiny_family
from trainer.adapters.keys.names import diffusers_names
from trainer.adapters.keys.templates import FILE, all_templates
from trainer.adapters.lycoris.layer import adaptable


def names(denoiser: nn.Module) -> list[str]:
    return [name for name, module in denoiser.named_modules() if adaptable(module)]


def templates_of(denoiser: nn.Module) -> list[str]:
    """Numbers of blocks become `{}`; those of a chain of unlike layers stay."""
    modules = dict(denoiser.named_modules())
    found = set()
    for name in names(denoiser):
        parts = name.split(".")
        parents = [modules[".".join(parts[:n])] for n in range(len(parts))]
        found.add(".".join(_part(*pair) for pair in zip(parts, parents, strict=True)))
    return sorted(found)


def _part(part: str, parent: nn.Module) -> str:
    chain = isinstance(parent, nn.Sequential)
    chain = chain or any(isinstance(child, nn.Dropout) for child in parent.children())
    return "{}" if part.isdigit() and not chain else part


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_is_known(kind, tiny_model):
    """The list is that of the model, and each name survives the way behind underscores."""
    denoiser = tiny_family(kind, tiny_model(kind), "denoiser").denoiser
    assert list(all_templates()[kind]) == templates_of(denoiser)
    table = diffusers_names(kind)
    for name in names(denoiser):
        (match,) = table.read(name.replace(".", "_"), flat=True)
        assert match.ours == (name,)


def write() -> None:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            family = tiny_family(kind, make_tiny(kind, Path(folder) / kind), "denoiser")
            found[kind] = templates_of(family.denoiser)
    FILE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    write()

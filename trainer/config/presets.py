"""Find and read presets; the only module that knows where they are.

Built-in presets stand in `presets/` beside the packages, a user's own in the configuration home.
A preset is a job file with an optional `[preset]` table that describes it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.config.load import Document, read_document
from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.runs.homes import config_home

BUILT_IN = Path(__file__).resolve().parents[2] / "presets"
PREFIX = "preset:"


@dataclass(frozen=True, slots=True)
class PresetInfo:
    """What a list of presets shows."""

    name: str
    path: Path
    family: str
    title: str
    mode: str
    vram_gb: int | None
    notes: str
    built_in: bool
    needs_data: bool
    meta: dict[str, Any] = field(default_factory=dict)


def folders() -> list[tuple[Path, bool]]:
    return [(config_home() / "presets", False), (BUILT_IN, True)]


def preset_names() -> dict[str, tuple[Path, bool]]:
    """Name such as `flux/lora-24gb` -> file; a user's preset hides a built-in one."""
    found: dict[str, tuple[Path, bool]] = {}
    for root, built_in in folders():
        for path in sorted(root.glob("*/*.toml")):
            if path.name != "family.toml":
                name = f"{path.parent.name}/{path.stem}"
                found.setdefault(name, (path, built_in))
    return dict(sorted(found.items()))


def read_preset(name: str) -> Document:
    """The document of a preset without its `[preset]` table."""
    path = preset_path(name)
    document = read_document(path)
    data = {k: v for k, v in document.data.items() if k != "preset"}
    return Document(data, document.text, document.format, document.name, document.lines)


def preset_path(name: str) -> Path:
    names = preset_names()
    if name in names:
        return names[name][0]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    raise ConfigError(
        finding(
            "CFG010",
            f"there is no preset {name!r}",
            where="preset",
            fix=f"did you mean {', '.join(near)}?" if near else "see `stune preset ls`",
        )
    )


def preset_info(name: str) -> PresetInfo:
    path, built_in = preset_names()[name]
    data = read_document(path).data
    meta = data.get("preset") if isinstance(data.get("preset"), dict) else {}
    model = data.get("model", {})
    return PresetInfo(
        name=name,
        path=path,
        family=str(model.get("family", "")),
        title=str(meta.get("title", name)),
        mode=str(model.get("mode", "adapter")),
        vram_gb=meta.get("vram_gb"),
        notes=str(meta.get("notes", "")),
        built_in=built_in,
        needs_data=not data.get("data", {}).get("datasets"),
        meta=meta,
    )


def inside(text: str) -> Path:
    """`preset:demo/model` -> the path inside the built-in presets."""
    return BUILT_IN / text.removeprefix(PREFIX)

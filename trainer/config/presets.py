"""Find and read presets; the only module that knows where they are.

Built-in presets stand in `presets/` beside the packages, a user's own in the configuration home.
A preset is a job file that may leave the data out. Its `[preset]` table describes it, and names
with `base` another preset that it builds on.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.config.load import Document, read_document
from trainer.errors import ConfigError
from trainer.findings import Finding, finding
from trainer.runs.homes import config_home

BUILT_IN = Path(__file__).resolve().parents[2] / "presets"
PREFIX = "preset:"
META: dict[str, type] = {"base": str, "title": str, "vram_gb": int, "notes": str}


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
    """Name such as `flux/lora-32gb` -> file; a user's preset hides a built-in one."""
    found: dict[str, tuple[Path, bool]] = {}
    for root, built_in in folders():
        for path in sorted(root.glob("*/*.toml")):
            if path.name != "family.toml":
                name = f"{path.parent.name}/{path.stem}"
                found.setdefault(name, (path, built_in))
    return dict(sorted(found.items()))


def preset_path(name: str, *, where: str = "preset") -> Path:
    names = preset_names()
    if name in names:
        return names[name][0]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    raise ConfigError(
        finding(
            "CFG010",
            f"there is no preset {name!r}",
            where=where,
            fix=f"did you mean {', '.join(near)}?" if near else "see `stune preset ls`",
        )
    )


def base_of(document: Document) -> str | None:
    """The preset that a job or preset builds on."""
    preset = document.data.get("preset")
    base = preset.get("base") if isinstance(preset, dict) else preset
    return base if isinstance(base, str) else None


def is_preset(document: Document) -> bool:
    """Whether the document describes itself as a preset."""
    return isinstance(document.data.get("preset"), dict)


def preset_chain(document: Document) -> list[Document]:
    """All presets below a document, the farthest first."""
    chain: list[Document] = []
    seen: list[str] = []
    while (name := base_of(document)) is not None:
        where = document.where("preset.base" if is_preset(document) else "preset")
        if name in seen:
            circle = " → ".join([*seen, name])
            problem = finding("CFG008", f"presets build on each other: {circle}", where=where)
            raise ConfigError(problem)
        seen.append(name)
        document = read_document(preset_path(name, where=where))
        chain.insert(0, document)
    return chain


def preset_info(name: str) -> PresetInfo:
    """What a preset says about itself, with what it inherits."""
    path, built_in = preset_names()[name]
    document = read_document(path)
    meta: dict[str, Any] = document.data["preset"] if is_preset(document) else {}
    model: dict[str, Any] = {}
    datasets: list[Any] = []
    for layer in (*preset_chain(document), document):
        model |= layer.data.get("model", {})
        datasets = layer.data.get("data", {}).get("datasets", datasets)
    return PresetInfo(
        name=name,
        path=path,
        family=str(model.get("family", "")),
        title=str(meta.get("title", name)),
        mode=str(model.get("mode", "adapter")),
        vram_gb=meta.get("vram_gb"),
        notes=str(meta.get("notes", "")),
        built_in=built_in,
        needs_data=not datasets,
        meta=meta,
    )


@dataclass(frozen=True, slots=True)
class FamilyNote:
    """What a person should know before choosing a family."""

    name: str
    licence: str
    needs: str
    links: tuple[str, ...]


def family_note(family: str) -> FamilyNote:
    """The text of `presets/<family>/family.toml`."""
    data = read_document(BUILT_IN / family / "family.toml").data
    return FamilyNote(data["name"], data["licence"], data["needs"], tuple(data["links"]))


def description_problems(document: Document) -> list[Finding]:
    """Wrong keys and types in the `[preset]` table, or a `preset` that is neither form."""
    preset = document.data.get("preset")
    if preset is None or isinstance(preset, str):
        return []
    if not isinstance(preset, dict):
        return [_wrong(document, "preset", preset, "the name of a preset, or a [preset] table")]
    found = []
    for key, value in preset.items():
        path = f"preset.{key}"
        if key not in META:
            near = difflib.get_close_matches(key, META, n=1)
            found.append(
                finding(
                    "CFG004",
                    f"unknown key {path}",
                    where=document.where(path),
                    fix=f"did you mean preset.{near[0]}?" if near else f"known: {', '.join(META)}",
                    key=path,
                )
            )
        elif type(value) is not META[key]:
            wanted = "a whole number" if META[key] is int else "a text"
            found.append(_wrong(document, path, value, wanted))
    return found


def _wrong(document: Document, path: str, value: Any, wanted: str) -> Finding:
    return finding(
        "CFG006",
        f"{path} = {value!r} is of the wrong type",
        where=document.where(path),
        fix=f"expected {wanted}",
        key=path,
    )


def inside(text: str) -> Path:
    """`preset:demo/model` -> the path inside the built-in presets."""
    return BUILT_IN / text.removeprefix(PREFIX)

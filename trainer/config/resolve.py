"""From a job file to the effective configuration: layers, paths, checks.

Nothing is raised for bad content: every problem is a finding in the result, and the
configuration is None while there are structural ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trainer import catalog
from trainer.config import presets
from trainer.config.keys import all_keys, generic
from trainer.config.layers import Layer, Origin, leaves, merge
from trainer.config.load import Document, parse_document, read_document
from trainer.config.overrides import environment_layer, override_layer
from trainer.config.problems import invalid_values, unknown_keys
from trainer.config.rules.check import check_rules
from trainer.config.schema.root import JobConfig
from trainer.errors import ConfigError, TrainerError
from trainer.findings import Finding

EFFECTIVE = "effective/1"


@dataclass(slots=True)
class Resolved:
    """The outcome; `origins` maps leaf paths that some layer set."""

    config: JobConfig | None
    origins: dict[str, Origin]
    findings: list[Finding]
    document: Document | None
    data: dict[str, Any] = field(default_factory=dict)

    def effective(self) -> dict[str, Any]:
        """All values, defaults filled in, paths absolute: what is stored with the run."""
        assert self.config is not None
        return {"schema": EFFECTIVE, **self.config.model_dump(mode="json")}

    def origin(self, path: str) -> Origin:
        """Where the value of a leaf comes from."""
        probe = path
        while probe:
            if probe in self.origins:
                return self.origins[probe]
            probe = probe.rpartition("[")[0] if probe.endswith("]") else ""
        return Origin("built-in")


def resolve(
    source: Path | str,
    *,
    format: str = "toml",
    name: str = "<text>",
    base_dir: Path | None = None,
    overrides: Sequence[str] = (),
    unset: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Resolved:
    """Resolve a file (`Path`) or a text (`str`).

    Relative paths mean: relative to the file's folder, or to `base_dir` for a text.
    """
    try:
        if isinstance(source, Path):
            document = read_document(source)
            base_dir = base_dir or source.resolve().parent
        else:
            document = parse_document(source, format, name)
    except TrainerError as error:
        return Resolved(None, {}, list(error.findings), None)
    return resolve_document(
        document,
        base_dir=base_dir or Path.cwd(),
        overrides=overrides,
        unset=unset,
        env=os.environ if env is None else env,
    )


def resolve_document(
    document: Document,
    *,
    base_dir: Path,
    overrides: Sequence[str] = (),
    unset: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Resolved:
    if document.data.get("schema") == EFFECTIVE:
        return _stored(document)
    findings: list[Finding] = list(unknown_keys(document))
    try:
        layers = _layers(document, base_dir, overrides, env or {}, findings)
    except ConfigError as error:
        return Resolved(None, {}, findings + list(error.findings), document)
    data, origins = merge(layers)
    _unset(data, origins, unset)

    def place(path: str) -> str:
        origin = next((o for p, o in origins.items() if p == path or p.startswith(path)), None)
        return origin.where if origin and origin.where else document.where(path)

    try:
        config = JobConfig.model_validate(_only_known(data))
    except ValidationError as error:
        return Resolved(None, origins, findings + invalid_values(error, place), document, data)
    return Resolved(config, origins, findings + check_rules(config, place), document, data)


def _stored(document: Document) -> Resolved:
    """An effective configuration of an earlier run: checked then, only its data is checked now.

    Every key is set in it, so rules about keys without effect would all fire.
    """
    data = {k: v for k, v in document.data.items() if k != "schema"}
    origins = {path: Origin("file", document.name) for path, _ in leaves(data)}
    try:
        config = JobConfig.model_validate(data)
    except ValidationError as error:
        return Resolved(None, origins, invalid_values(error, document.where), document, data)
    findings = [f for f in check_rules(config, document.where) if f.code.startswith("DAT")]
    return Resolved(config, origins, findings, document, data)


def _layers(
    document: Document,
    base_dir: Path,
    overrides: Sequence[str],
    env: Mapping[str, str],
    findings: list[Finding],
) -> list[Layer]:
    layers: list[Layer] = []
    preset = document.data.get("preset")
    if isinstance(preset, str):
        other = presets.read_preset(preset)
        findings += unknown_keys(other)
        layers.append(document_layer("preset", other, Path(other.name).parent))
    layers.append(document_layer("file", document, base_dir))
    layers.append(environment_layer(env, base_dir))
    layers.append(override_layer(overrides, Path.cwd()))
    data, _ = merge(layers)
    return [_family_layer(data), *layers]


def document_layer(name: str, document: Document, base_dir: Path) -> Layer:
    data = {k: v for k, v in document.data.items() if k != "preset"}
    places = {path: document.where(path) for path, _ in leaves(data)}
    return Layer(name, absolute_paths(data, base_dir), places | {"": document.name})


def _family_layer(data: Mapping[str, Any]) -> Layer:
    """Defaults of the chosen flavour: its repository and its usual settings."""
    model = data.get("model")
    family = model.get("family") if isinstance(model, Mapping) else None
    if not isinstance(family, str) or family not in catalog.FAMILIES:
        return Layer("family", {}, {})
    assert isinstance(model, Mapping)
    facts = catalog.family_facts(family)
    flavour = model.get("flavour") or facts.default_flavour
    entry = facts.flavours.get(flavour) if isinstance(flavour, str) else None
    layer: dict[str, Any] = {}
    if entry is not None:
        layer = {"model": {"path": entry.repo}}
        for path, value in entry.defaults.items():
            section = layer
            *tables, leaf = path.split(".")
            for table in tables:
                section = section.setdefault(table, {})
            section[leaf] = value
    return Layer("family", layer, {"": f"{family} {flavour}"})


def absolute_paths(data: Mapping[str, Any], base: Path, prefix: str = "") -> dict[str, Any]:
    """The same data with every path absolute; `preset:` paths point into the presets."""
    result: dict[str, Any] = {}
    for key, value in data.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            result[key] = absolute_paths(value, base, f"{path}.")
        elif isinstance(value, list):
            result[key] = [
                absolute_paths(v, base, f"{path}[].") if isinstance(v, Mapping) else v
                for v in value
            ]
        else:
            result[key] = _absolute(value, generic(path), base)
    return result


def _absolute(value: Any, path: str, base: Path) -> Any:
    known = all_keys().get(path)
    kind = known.extra.get("path") if known else None
    if not kind or not isinstance(value, str) or not value:
        return value
    if value.startswith(presets.PREFIX):
        return str(presets.inside(value))
    candidate = (base / Path(value).expanduser()).resolve()
    if kind == "model" and not candidate.exists() and not value.startswith((".", "/", "~")):
        return value  # a hub id
    return str(candidate)


def _unset(data: dict[str, Any], origins: dict[str, Origin], paths: Sequence[str]) -> None:
    for path in paths:
        *tables, leaf = path.split(".")
        section: Any = data
        for table in tables:
            section = section.get(table, {}) if isinstance(section, dict) else {}
        if isinstance(section, dict):
            section.pop(leaf, None)
        origins.pop(path, None)


def _only_known(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Without unknown keys: they are reported already and must not hide other problems."""
    result: dict[str, Any] = {}
    for key, value in data.items():
        path = f"{prefix}{key}"
        if path not in all_keys():
            continue
        if isinstance(value, Mapping):
            result[key] = _only_known(value, f"{path}.")
        elif isinstance(value, list):
            result[key] = [
                _only_known(v, f"{path}[].") if isinstance(v, Mapping) else v for v in value
            ]
        else:
            result[key] = value
    return result

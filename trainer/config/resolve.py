"""From a job file to the effective configuration: layers, paths, checks.

Nothing is raised for bad content: every problem is a finding in the result, and the
configuration is None while there are structural ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trainer.config.defaults import default_layers, share_defaults
from trainer.config.keys import all_keys
from trainer.config.layers import Layer, Origin, join, leaves, merge, split
from trainer.config.load import Document, parse_document, read_document
from trainer.config.overrides import check_key, environment_layer, override_layer
from trainer.config.paths import absolute
from trainer.config.presets import description_problems, preset_chain
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
        parts = split(path)
        for end in range(len(parts), 0, -1):
            if (origin := self.origins.get(join(parts[:end]))) is not None:
                return origin
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
    findings: list[Finding] = []
    try:
        layers = _layers(document, base_dir, overrides, unset, env or {}, findings)
        data, origins = merge([*default_layers(merge(layers)[0]), *layers])
    except ConfigError as error:
        return Resolved(None, {}, findings + list(error.findings), document)
    share_defaults(data, origins)
    place = _place(origins, document)
    try:
        config = JobConfig.model_validate(_only_known(data))
    except ValidationError as error:
        findings += invalid_values(error, lambda path: place(path).where)
        return Resolved(None, origins, findings, document, data)
    return Resolved(config, origins, findings + check_rules(config, place), document, data)


def _place(origins: Mapping[str, Origin], document: Document) -> Callable[[str], Origin]:
    """Where a key or section was set: at itself, else at its first key, else in the file."""

    def place(path: str) -> Origin:
        if path in origins:
            return origins[path]
        below = (o for p, o in origins.items() if p.startswith((f"{path}.", f"{path}[")))
        ordered = sorted(below, key=lambda origin: origin.layer != "file")
        return ordered[0] if ordered else Origin("file", document.where(path))

    return place


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
    findings = [
        f for f in check_rules(config, _place(origins, document)) if f.code.startswith("DAT")
    ]
    return Resolved(config, origins, findings, document, data)


def _layers(
    document: Document,
    base_dir: Path,
    overrides: Sequence[str],
    unset: Sequence[str],
    env: Mapping[str, str],
    findings: list[Finding],
) -> list[Layer]:
    """What the user set, lowest first; problems of the files go to `findings`."""
    for path in unset:
        check_key(path, f"--unset {path}")
    findings += description_problems(document) + unknown_keys(document)
    layers = []
    for preset in preset_chain(document):
        findings += description_problems(preset) + unknown_keys(preset)
        layers.append(document_layer("preset", preset, Path(preset.name).parent))
    layers.append(document_layer("file", document, base_dir))
    layers.append(environment_layer(env, base_dir))
    layers.append(override_layer(overrides, Path.cwd()))
    return [layer.without(unset) for layer in layers]


def document_layer(name: str, document: Document, base_dir: Path) -> Layer:
    data = {k: v for k, v in document.data.items() if k != "preset"}
    places = {path: document.where(path) for path, _ in leaves(data)}
    return Layer(name, absolute(data, base_dir), places | {"": document.name})


def _only_known(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Without unknown keys: they are reported already and must not hide other problems."""
    result: dict[str, Any] = {}
    for key, value in data.items():
        path = f"{prefix}{key}"
        known = all_keys().get(path)
        if known is None:
            continue
        if known.section is None:  # its value, a table included, is its own affair
            result[key] = value
        elif isinstance(value, Mapping):
            result[key] = _only_known(value, f"{path}.")
        elif isinstance(value, list):
            result[key] = [
                _only_known(v, f"{path}[].") if isinstance(v, Mapping) else v for v in value
            ]
        else:
            result[key] = value
    return result

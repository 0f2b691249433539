"""Everything there is to say about one key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trainer import catalog
from trainer.config.keys import Key, all_keys, children, generic
from trainer.config.problems import candidates_for, expected
from trainer.config.suggest import ALIASES
from trainer.errors import ConfigError
from trainer.findings import finding


@dataclass(frozen=True, slots=True)
class Explanation:
    """Documentation of a key as data."""

    key: str
    doc: str
    type: str
    default: Any
    choices: dict[str, str]
    families: dict[str, Any] = field(default_factory=dict)
    bounds: dict[str, Any] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    related: list[str] = field(default_factory=list)
    other_names: list[str] = field(default_factory=list)
    example: str = ""


def explain(path: str) -> Explanation:
    """Explain a key or a section; raises ConfigError with the nearest names for an unknown one."""
    key = all_keys().get(path) or all_keys().get(generic(path)) or _by_name(path)
    if key is None:
        section, _, leaf = path.rpartition(".")
        near = candidates_for(section, leaf)
        raise ConfigError(
            finding(
                "CFG004",
                f"there is no key {path}",
                key=path,
                fix=f"did you mean {' or '.join(near)}?"
                if near
                else "see docs/reference/options.md",
            )
        )
    return Explanation(
        key=key.path,
        doc=key.doc,
        type="section" if key.section else expected(key),
        default=None if key.section else key.default,
        choices=_choices(key),
        families=_family_values(key.path),
        bounds=key.bounds,
        keys=[f"{_inside(key)}{name}" for name in children(_inside(key)[:-1])]
        if key.section
        else [],
        related=_related(key),
        other_names=[name for name, target in ALIASES.items() if target == key.path],
        example=_example(key),
    )


def _by_name(name: str) -> Key | None:
    """A last part that only one key has."""
    found = [k for p, k in all_keys().items() if p.rpartition(".")[2] == name]
    return found[0] if len(found) == 1 else None


def _inside(key: Key) -> str:
    many = any(p.startswith(f"{key.path}[].") for p in all_keys())
    return f"{key.path}[]." if many else f"{key.path}."


def _choices(key: Key) -> dict[str, str]:
    if key.path == "model.family":
        return {k: catalog.family_facts(k).display_name for k in sorted(catalog.FAMILIES)}
    if key.path == "optimizer.name":
        return {k: entry.summary for k, entry in catalog.OPTIMIZERS.items()}
    if key.path == "schedule.name":
        return dict(catalog.SCHEDULES)
    return {str(choice): "" for choice in key.choices}


def _family_values(path: str) -> dict[str, Any]:
    """Values of the key that depend on the family."""
    read = {
        "adapter.preset": lambda f: f.default_targets,
        "data.defaults.resolution": lambda f: f"{f.default_resolution}px2",
        "model.flavour": lambda f: f.default_flavour,
        "model.path": lambda f: f.flavours[f.default_flavour].repo,
        "noise.sampling": lambda f: f.sigma_sampling,
        "noise.shift": lambda f: f.shift,
        "validation.guidance": lambda f: f.guidance,
    }.get(path)
    if path == "optimizer.lr":
        return {
            f"{n} {m}": lr for n, e in catalog.OPTIMIZERS.items() for m, lr in e.default_lr.items()
        }
    if read is None:
        return {}
    return {key: read(catalog.family_facts(key)) for key in sorted(catalog.FAMILIES)}


def _related(key: Key) -> list[str]:
    section = key.path.rpartition(".")[0]
    return [
        f"{section}.{n}" for n in children(section) if section and f"{section}.{n}" != key.path
    ][:6]


def _example(key: Key) -> str:
    if key.section is not None:
        return f"[{key.path}]"
    section, _, leaf = key.path.rpartition(".")
    header = f"[[{section[:-2]}]]" if section.endswith("[]") else f"[{section}]"
    return f"{header}\n{leaf} = {_toml_value(key)}"


def _toml_value(key: Key) -> str:
    import json

    samples = {
        "model.family": "flux",
        "data.datasets[].id": "style",
        "data.datasets[].path": "pictures",
    }
    value = samples.get(key.path, key.default)
    if value is None:
        choices = key.choices
        wanted = expected(key)
        if choices:
            value = choices[0]
        elif "number" in wanted:
            value = max(1, key.bounds.get("ge", 1))
        elif "resolution" in wanted:
            value = "1024px2"
        elif "pair" in wanted:
            value = [0.9, 0.999]
        elif "true" in wanted:
            value = True
        else:
            value = "…"
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)

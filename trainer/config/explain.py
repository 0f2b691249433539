"""Everything there is to say about one key, as data."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from trainer import catalog
from trainer.catalog.generators import GENERATORS, all_options, described
from trainer.config.aliases import ALIASES
from trainer.config.defaults import family_defaults
from trainer.config.keys import ITEM, Key, all_keys, children, generic
from trainer.config.problems import candidates_for, expected
from trainer.errors import ConfigError
from trainer.findings import finding

# Keys of different sections that are set together; within a section all are related anyway.
GROUPS: tuple[tuple[str, ...], ...] = (
    ("train.batch_size", "train.accumulate", "optimizer.lr", "compute.checkpointing.enabled"),
    ("train.steps", "train.epochs", "data.datasets[].repeats", "schedule.warmup"),
    ("optimizer.lr", "optimizer.name", "schedule.name", "schedule.warmup", "adapter.alpha"),
    ("adapter.rank", "adapter.alpha", "adapter.preset", "adapter.targets", "model.mode"),
    ("adapter.rank", "adapter.overrides", "adapter.exclude", "adapter.rslora"),
    ("adapter.kind", "adapter.formats", "adapter.preset", "adapter.lycoris.algo"),
    ("adapter.init", "adapter.init_from", "adapter.dora", "adapter.lora_plus_ratio"),
    ("model.mode", "optimizer.name", "compute.precision.dtype", "ema.enabled"),
    ("data.defaults.resolution", "data.datasets[].resolution", "validation.resolution"),
    ("data.defaults.caption.source", "data.datasets[].caption.source", "data.missing_caption"),
    ("data.defaults.caption.dropout", "data.datasets[].caption.dropout", "validation.guidance"),
    ("data.datasets[].role", "eval.every_steps", "eval.samples"),
    ("validation.prompts", "eval.style_reference"),
    ("compute.attention.backend", "compute.compile.backend", "compute.precision.dtype"),
    ("compute.quant.base", "compute.offload.blocks", "compute.checkpointing.mode", "model.mode"),
    ("compute.text_encoders", "compute.quant.text_encoders", "compute.offload.text_encoders"),
    ("model.components.vae.tiling", "compute.offload.vae", "cache.batch_size"),
    ("optimizer.fused_backward", "optimizer.clip", "train.accumulate", "optimizer.name"),
    ("model.options.lumina2.system_prompt", "model.max_tokens", "validation.negative"),
    ("model.options.sana.instruction", "model.max_tokens", "validation.negative"),
    ("model.assistant.path", "model.flavour", "validation.steps", "validation.guidance"),
    ("noise.interval", "validation.levels", "validation.other_model"),
    ("model.options.sdxl.aesthetic_score", "model.flavour", "noise.interval"),
    ("noise.sampling", "noise.shift", "noise.sigmoid_scale", "noise.beta", "noise.interval"),
    ("data.datasets[].conditioning", "data.missing_partner", "data.conditioning_mix", "loss.mask"),
    ("data.datasets[].slider", "data.datasets[].role", "model.mode"),
    ("data.datasets[].timestep_offset", "noise.sampling", "noise.sigmoid_scale"),
    ("loss.kind", "loss.huber.c", "loss.huber.schedule", "loss.snr.gamma"),
    ("model.prediction_type", "model.zero_terminal_snr", "loss.snr.gamma"),
    ("checkpoint.every_steps", "checkpoint.keep", "job.output_dir"),
    ("data.datasets[].leftover", "train.batch_size", "data.datasets[].max_samples"),
)
SAMPLES: dict[str, Any] = {
    "adapter.exclude": ["to_add_out"],
    "adapter.formats": ["diffusers"],
    "adapter.init_from": "earlier.safetensors",
    "adapter.lycoris.modules": ["FluxAttention"],
    "adapter.lycoris.overrides[].module": "FeedForward",
    "adapter.overrides[].module": "ff.net.2",
    "adapter.preset": "attention",
    "adapter.targets": ["to_q", "to_v"],
    "cache.root": "cache",
    "checkpoint.allow": ["batch_size"],
    "data.datasets[].caption.prompt": "a drawing of",
    "data.datasets[].caption.column": "caption",
    "data.datasets[].caption.fallback_column": "alt_text",
    "data.datasets[].caption.template": "{caption}, in watercolour",
    "data.datasets[].audio.lyrics_suffix": ".lyrics.txt",
    "data.datasets[].conditioning[].dataset": "style-masks",
    "data.datasets[].conditioning[].generate": "canny",
    "data.datasets[].conditioning[].match": "strict",
    "data.datasets[].conditioning[].options": {"low": 50, "high": 100},
    "data.datasets[].downsample.above": "4mp",
    "data.datasets[].downsample.to": "2mp",
    "data.datasets[].id": "style",
    "data.datasets[].overlay": "style.overlay.toml",
    "data.datasets[].source.path": "shards",
    "data.datasets[].source.bucket": "pictures",
    "data.datasets[].source.endpoint": "https://minio.example.org",
    "data.datasets[].source.region": "eu-central-1",
    "data.datasets[].source.profile": "training",
    "data.datasets[].source.subset": "default",
    "data.datasets[].source.revision": "main",
    "data.datasets[].source.media_column": "image",
    "data.datasets[].source.name_column": "id",
    "data.datasets[].source.extension": ".png",
    "data.datasets[].suffix": ".mask",
    "data.defaults.caption.column": "caption",
    "data.defaults.caption.fallback_column": "alt_text",
    "data.defaults.caption.template": "{caption}, in watercolour",
    "data.defaults.audio.lyrics_suffix": ".lyrics.txt",
    "data.datasets[].path": "pictures",
    "data.datasets[].resolution": "1024px2",
    "data.defaults.caption.prompt": "a drawing of",
    "data.defaults.resolution": "1024px2",
    "eval.style_reference": "pictures/style",
    "job.name": "my-style",
    "job.notes": "second try, lower rate",
    "job.output_dir": "out/my-style",
    "job.tags": ["style"],
    "loss.snr.gamma": 5.0,
    "model.assistant.path": "weights/training-adapter",
    "model.assistant.weight_name": "training-adapter.safetensors",
    "model.components.denoiser.path": "weights/denoiser",
    "model.components.denoiser.subfolder": "transformer",
    "model.components.vae.path": "weights/vae",
    "model.components.vae.subfolder": "vae",
    "model.controlnet.path": "weights/my-controlnet",
    "model.family": "flux",
    "model.flavour": "dev",
    "model.max_tokens": 256,
    "model.options.flux2.text_layers": [9, 18, 27],
    "model.options.hidream.llama": "meta-llama/Llama-3.1-8B-Instruct",
    "model.options.stable_cascade.decoder": "weights/stable-cascade",
    "model.options.lumina2.system_prompt": "You are an assistant that draws maps.",
    "model.options.sana.instruction": "Describe what a painter would see of this: ",
    "model.path": "weights/my-base",
    "model.revision": "main",
    "model.variant": "fp16",
    "noise.shift": "auto",
    "optimizer.args.betas": [0.9, 0.99],
    "optimizer.args.eps": 1e-8,
    "optimizer.args.weight_decay": 0.01,
    "optimizer.lr": 1e-4,
    "validation.adapters[].name": "turbo",
    "validation.adapters[].path": "turbo.safetensors",
    "validation.inputs[].path": "pictures/room.png",
    "validation.inputs[].prompt": "the same room at night",
    "validation.negative": "blurry",
    "validation.other_model": "weights/refiner",
    "validation.prompts": ["a photo of a cat"],
    "validation.resolution": "768px",
    "train.steps": 2000,
    "train.epochs": 10,
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Documentation of a key; `effect` names what it acts on: memory, time, disk, result."""

    key: str
    doc: str
    type: str
    default: Any
    choices: dict[str, str]
    effect: list[str] = field(default_factory=list)
    families: dict[str, Any] = field(default_factory=dict)
    bounds: dict[str, Any] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    related: list[str] = field(default_factory=list)
    other_names: list[str] = field(default_factory=list)
    example: str = ""


def explain(path: str) -> Explanation:
    """Explain a key or a section; raises ConfigError with the nearest names for an unknown one."""
    key = all_keys().get(generic(path).removesuffix(ITEM)) or _by_name(path)
    if key is None:
        raise _no_such_key(path)
    inside = f"{key.path}{ITEM}" if _is_list(key) else key.path
    return Explanation(
        key=key.path,
        doc=key.doc,
        type="section" if key.section else expected(key),
        default=None if key.section else _plain(key.default),
        choices=_choices(key),
        effect=list(key.changes),
        families=_values_by_choice(key.path),
        bounds=key.bounds,
        keys=[f"{inside}.{name}" for name in children(inside)] if key.section else [],
        related=_related(key),
        other_names=sorted(name for name, target in ALIASES.items() if target == key.path),
        example=_example(key),
    )


def _no_such_key(path: str) -> ConfigError:
    section, _, leaf = path.rpartition(".")
    near = candidates_for(section, leaf)
    fix = f"did you mean {' or '.join(near)}?" if near else "see docs/reference/options.md"
    return ConfigError(finding("CFG004", f"there is no key {path}", key=path, fix=fix))


def _by_name(name: str) -> Key | None:
    """A last part that only one key has, those in lists of tables aside unless there is no other;
    or a name that another trainer uses."""
    found = [k for p, k in all_keys().items() if p.rpartition(".")[2] == name]
    found = [k for k in found if ITEM not in k.path] or found
    if len(found) == 1:
        return found[0]
    return all_keys().get(ALIASES.get(name, ""))


def _is_list(key: Key) -> bool:
    return any(p.startswith(f"{key.path}{ITEM}.") for p in all_keys())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _choices(key: Key) -> dict[str, str]:
    if key.path == "model.family":
        return {k: catalog.family_facts(k).display_name for k in sorted(catalog.FAMILIES)}
    if key.path == "optimizer.name":
        return {k: entry.summary for k, entry in catalog.OPTIMIZERS.items()}
    if key.path == "schedule.name":
        return dict(catalog.SCHEDULES)
    if key.path == "data.datasets[].conditioning[].generate":
        return {name: entry.summary for name, entry in GENERATORS.items()}
    if key.path == "data.datasets[].conditioning[].options":
        return {f"{whose}.{name}": described(o) for whose, name, o in all_options()}
    return {str(choice): "" for choice in key.choices}


def _values_by_choice(path: str) -> dict[str, Any]:
    """Defaults that depend on the family, or on optimiser and mode."""
    if path == "optimizer.lr":
        return {
            f"{n} {m}": lr for n, e in catalog.OPTIMIZERS.items() for m, lr in e.default_lr.items()
        }
    table, _, name = path.rpartition(".")
    if table == "optimizer.args":
        return {n: e.args[name] for n, e in catalog.OPTIMIZERS.items() if name in e.args}
    values: dict[str, Any] = {}
    for family in sorted(catalog.FAMILIES):
        facts = catalog.family_facts(family)
        known = family_defaults(facts) | {
            "adapter.preset": facts.default_targets,
            "model.flavour": facts.default_flavour,
            "model.path": facts.flavours[facts.default_flavour].repo,
        }
        if path in known:
            values[family] = known[path]
        for flavour, entry in facts.flavours.items():
            if path in entry.defaults:
                values[f"{family} {flavour}"] = entry.defaults[path]
    return values


def _related(key: Key) -> list[str]:
    """Keys of the same groups, then those of the same section."""
    section = key.path.rpartition(".")[0]
    grouped = [other for group in GROUPS if key.path in group for other in group]
    siblings = [f"{section}.{name}" for name in children(section)] if section else []
    return [p for p in dict.fromkeys(grouped + siblings) if p != key.path][:6]


def _example(key: Key) -> str:
    if key.section is not None:
        return f"[[{key.path}]]" if _is_list(key) else f"[{key.path}]"
    section, _, leaf = key.path.rpartition(".")
    line = f"{leaf} = {_toml(_sample(key))}"
    if ITEM not in section:
        return f"[{section}]\n{line}"
    table, _, inner = section.partition(ITEM)
    for part in reversed(inner.lstrip(".").split(".") if inner else ()):
        name = part.removesuffix(ITEM)
        line = f"{name} = [{{ {line} }}]" if part.endswith(ITEM) else f"{name}.{line}"
    return f"[[{table}]]\n{line}"


def _toml(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def _sample(key: Key) -> Any:
    """A value worth showing: a chosen one, the default, a choice, or a number within bounds."""
    if key.path in SAMPLES:
        return SAMPLES[key.path]
    if key.default is not None:
        return _plain(key.default)
    if key.choices:
        return key.choices[0]
    if "number" in expected(key):
        return max(1, key.bounds.get("ge", 1))
    return True

"""Quantisation, offloading, gradient checkpointing, attention and compilation."""

from __future__ import annotations

from typing import get_args

from trainer.catalog.attention import ATTENTION
from trainer.catalog.quants import QUANTS
from trainer.config.importers.simpletuner.translation import Translation
from trainer.config.schema.speed import CompileConfig

_DYNAMIC = "activations keep their precision here"
_NEAR: dict[str, tuple[str, str]] = {
    "fp8wo-torchao": ("fp8-torchao", ""),
    "fp8-torchao": ("fp8-torchao", _DYNAMIC),
    "fp8-native": ("fp8-torchao", _DYNAMIC),
    "fp8-sdnq": ("fp8-torchao", "the same number format by another package"),
    "fp8uz-quanto": ("fp8-quanto", "the usual form of fp8"),
    "int8dq-torchao": ("int8-torchao", _DYNAMIC),
    "int8-sdnq": ("int8-torchao", "the same number format by another package"),
    "uint8-sdnq": ("int8-torchao", "signed numbers"),
    "int4-torchao": ("int4-quanto", "the same number format by another package"),
    "uint4-sdnq": ("int4-quanto", "signed numbers by another package"),
    "int2-quanto": ("int4-quanto", "two bits more, which keep more quality"),
}
_SAME_KERNEL = {"flash-attn-2": "flash-attn", "flash-attn-3-varlen": "flash-attn-3"}


def quantised(name: str) -> tuple[str, str] | None:
    """Our form nearest to one of the source, and what is different about it."""
    if name in _NEAR:
        return _NEAR[name]
    return (name, "") if name in QUANTS else None


def memory(t: Translation) -> None:
    _base(t)
    _encoders(t)
    _checkpointing(t)
    _offload(t)
    _attention(t)
    _compile(t)


def _base(t: Translation) -> None:
    name = t.read("base_model_precision", "text").strip().lower()
    if not t.given("base_model_precision") or name == "no_change":
        t.ignore(["base_model_precision", "quantize_via"], "nothing is quantised")
        return
    found = quantised(name)
    if t.trains_base:
        t.refuse("base_model_precision", "weights that are trained are not quantised")
    elif found is None:
        t.refuse("base_model_precision", f"known here: {', '.join(QUANTS)}")
    else:
        form, note = found
        t.put("base_model_precision", "compute.quant.base", form, note=note, approx=bool(note))
        via = t.read("quantize_via", "text").strip().lower()
        if t.given("quantize_via") and via != "cpu":
            t.source.mapped(
                "quantize_via", "compute.quant.via", "layers go to the device one by one"
            )
        elif t.given("quantize_via"):
            t.put("quantize_via", "compute.quant.via", "cpu")
    t.ignore(["quantize_via"], "nothing is quantised")


def _encoders(t: Translation) -> None:
    names = [f"text_encoder_{n}_precision" for n in range(1, 5)]
    count = len(t.facts.text_encoders) if t.facts else 4
    chosen: list[str] = []
    for index, name in enumerate(names):
        value = t.read(name, "text").strip().lower()
        found = None if value == "no_change" or not t.given(name) else quantised(value)
        if t.given(name) and value != "no_change" and (found is None or index >= count):
            t.refuse(name, "the family has no such encoder, or the format is not known here")
            found = None
        chosen.append(found[0] if found else "none")
        if found:
            t.source.mapped(name, "compute.quant.text_encoders", found[1])
    while chosen and chosen[-1] == "none":
        chosen.pop()
    if chosen:
        t.draft.set("compute.quant.text_encoders", chosen)
    t.ignore(names, "it is not quantised")


def _checkpointing(t: Translation) -> None:
    if t.given("gradient_checkpointing_interval"):
        interval = t.read("gradient_checkpointing_interval", "int")
        if interval and interval > 1:
            path = "compute.checkpointing.interval"
            t.put("gradient_checkpointing_interval", path, interval)
    t.ignore(["gradient_checkpointing_interval"], "every block is checkpointed, as here")
    backend = t.read("gradient_checkpointing_backend", "text").strip().lower()
    if t.given("gradient_checkpointing_backend") and backend.startswith("unsloth"):
        note = "whole blocks are computed again" if backend.endswith("ffn") else ""
        path = "compute.checkpointing.mode"
        name = "gradient_checkpointing_backend"
        t.put(name, path, "offload", note=note, approx=bool(note))
    elif t.given("gradient_checkpointing_backend") and backend != "torch":
        t.refuse("gradient_checkpointing_backend", "whole blocks are computed again here")
    t.ignore(["gradient_checkpointing_backend"], "it is so here anyway")


def _offload(t: Translation) -> None:
    if t.given("musubi_blocks_to_swap") and t.read("musubi_blocks_to_swap", "int"):
        if t.trains_base or not t.read("gradient_checkpointing", "bool"):
            t.refuse("musubi_blocks_to_swap", "it needs a frozen model and gradient checkpointing")
        elif t.draft.get("compute.checkpointing.interval"):
            t.refuse("musubi_blocks_to_swap", "it needs gradient checkpointing of every block")
        else:
            t.carry("musubi_blocks_to_swap", "compute.offload.blocks", "int")
    t.ignore(["musubi_blocks_to_swap"], "no blocks are swapped")
    if t.draft.get("compute.quant.text_encoders") and t.given("group_offload_text_encoder"):
        t.refuse("group_offload_text_encoder", "quantised encoders are small, and stay")
    for name, part in (("text_encoder", "text_encoders"), ("vae", "vae")):
        if t.given(f"group_offload_{name}") and t.read(f"group_offload_{name}", "bool"):
            t.put(f"group_offload_{name}", f"compute.offload.{part}", True)
        t.ignore([f"group_offload_{name}"], "it is off, as it is here")


def _attention(t: Translation) -> None:
    name = "attention_mechanism"
    kernel: str = t.read(name, "text").strip().lower()
    kernel = _SAME_KERNEL.get(kernel, kernel)
    known = ATTENTION.get(kernel)
    if not t.given(name) or kernel in ("diffusers", "native"):
        t.ignore([name], "torch chooses, as it does here")
    elif known is None:
        t.refuse(name, f"known here: {', '.join(ATTENTION)}")
    elif not known.gradients:
        t.refuse(name, "it has no backward pass, so attention would not learn")
    elif t.facts is not None and not t.facts.attention_kernels:
        t.source.ignored(name, "the model's attention calls torch directly, there as here")
    else:
        t.put(name, "compute.attention.backend", kernel)


def _compile(t: Translation) -> None:
    name = "dynamo_backend"
    backend = t.read(name, "text").strip().lower()
    rest = ("dynamo_mode", "dynamo_fullgraph", "dynamo_dynamic", "dynamo_use_regional_compilation")
    if not t.given(name) or backend == "no":
        t.ignore([name, *rest], "models are not compiled, as here")
        return
    known = get_args(get_args(CompileConfig.model_fields["backend"].annotation)[0])
    base = t.draft.get("compute.quant.base")
    if backend not in known:
        t.refuse(name, f"known here: {', '.join(known)}")
    elif base is not None and not QUANTS[base].plain_tensors:
        t.refuse(name, f"blocks with weights in {base} are not compiled here")
    elif t.draft.get("compute.offload.blocks"):
        t.refuse(name, "swapped blocks are not compiled")
    else:
        t.put(name, "compute.compile.backend", backend)
        if backend == "inductor":
            t.carry("dynamo_mode", "compute.compile.mode", "text")
        for key in ("fullgraph", "dynamic"):
            if t.given(f"dynamo_{key}") and t.read(f"dynamo_{key}", "bool"):
                t.put(f"dynamo_{key}", f"compute.compile.{key}", True)
        t.ignore(["dynamo_use_regional_compilation"], "blocks are always compiled one by one")
    t.ignore(rest, "it has no effect here")

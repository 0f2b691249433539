"""A base in fewer bits takes less memory, stays frozen, and trains adapters for the full one."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.support.families import diffusers_pipeline, tiny_config, tiny_family
from tests.support.trained import trained
from trainer.catalog import FAMILIES, family_facts
from trainer.catalog.quants import QUANTS
from trainer.config.rules.quant import family_bears_quantisation
from trainer.errors import ConfigError
from trainer.memory import quant, quant_backends
from trainer.memory.quant import QuantPlan, chosen_layers, quantise
from trainer.memory.resident import weight_bytes

KINDS = ("sd1x", "sdxl", "flux")
BOUNDS = {"int8": 0.01, "fp8": 0.04, "int4": 0.1, "nf4": 0.15}  # relative error of the output


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def formats(kind: str) -> list[str]:
    """All of them on some kinds, on the others one for each level that they bear."""
    levels = family_facts(kind).quant_levels
    first = {QUANTS[name].level: name for name in reversed(QUANTS)}
    return list(QUANTS) if kind in KINDS else [first[level] for level in sorted(levels)]


@pytest.mark.conformance("quantised")
@pytest.mark.parametrize(("kind", "name"), [(k, n) for k in FAMILIES for n in formats(k)])
def test_an_adapter_trains_on_a_quantised_base(name, kind, tiny_model):
    """The error of the base is bounded but not zero, its bytes fall, gradients reach only the
    adapter and point where those on the full base point."""
    full = trained(kind, tiny_model(kind))
    small = trained(kind, tiny_model(kind), quant={"base": name})
    level = QUANTS[name].level
    assert 0 < relative(small.base(), full.base()) < BOUNDS[level]
    for bf16 in (False, True):
        found, expected = small.gradients(bf16=bf16), full.gradients()
        assert found.keys() == small.lora.parameters().keys()
        flat = [torch.cat([g[n].flatten() for n in expected]) for g in (found, expected)]
        assert torch.cosine_similarity(*flat, dim=0) > (0.9 if level == "nf4" else 0.97)
    trainable = {p for p in small.family.denoiser.parameters() if p.requires_grad}
    assert trainable == set(small.lora.parameters().values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", QUANTS)
def test_resident_bytes_fall(name, kind, tiny_model):
    """By what the converted layers lose; a copy that is kept somewhere would show."""
    family = tiny_family(kind, tiny_model(kind), "denoiser")
    before = weight_bytes(family.denoiser)
    layers = chosen_layers(family.denoiser, QuantPlan(name=name))
    whole = sum(family.denoiser.get_submodule(n).weight.nbytes for n in layers)
    done = quantise(family.denoiser, QuantPlan(name=name), device=family.device)
    assert done.layers == len(layers)
    assert done.bytes_before == before
    assert done.bytes_after == weight_bytes(family.denoiser)
    tables = len(layers) * 1400 if name == "nf4-bnb" else 0  # two tables of codes a layer
    saved = whole * (0.65 if QUANTS[name].level in ("int8", "fp8") else 0.75)
    assert before - done.bytes_after > saved - tables


def test_what_is_sensitive_stays(tiny_model):
    """Embeddings, norms, modulation and the last projection keep their precision; the projection
    out of a single block is none of them."""
    denoiser = tiny_family("flux", tiny_model("flux"), "denoiser").denoiser
    chosen = set(chosen_layers(denoiser, QuantPlan(name="int8-torchao")))
    single, double = "single_transformer_blocks.0.", "transformer_blocks.0."
    assert {single + "proj_out", single + "proj_mlp", double + "attn.to_q"} <= chosen
    assert {double + "ff.net.0.proj", double + "ff_context.net.2"} <= chosen
    linear = {n for n, m in denoiser.named_modules() if isinstance(m, nn.Linear)}
    modulation = {double + "norm1.linear", double + "norm1_context.linear", single + "norm.linear"}
    assert modulation | {"x_embedder", "context_embedder", "proj_out", "norm_out.linear"} <= (
        linear - chosen
    )
    more = set(chosen_layers(denoiser, QuantPlan(name="int8-torchao", modulation=True)))
    assert more - chosen == modulation
    fewer = set(chosen_layers(denoiser, QuantPlan(name="int8-torchao", keep=("attn.to_q",))))
    assert chosen - fewer == {n for n in chosen if n.endswith("attn.to_q")}


def test_unet_time_projections_stay(tiny_model):
    """What turns the time into a shift of a residual block is modulation as well."""
    denoiser = tiny_family("sd1x", tiny_model("sd1x"), "denoiser").denoiser
    chosen = chosen_layers(denoiser, QuantPlan(name="int8-torchao"))
    assert not any("time_emb" in name for name in chosen)
    assert any(name.endswith("ff.net.0.proj") for name in chosen)


@pytest.mark.parametrize(
    "settings", [{"keep": ("no.such",)}, {"keep": ("to_q", "proj_out2")}, {"modulation": True}]
)
def test_a_setting_that_fits_no_layer_is_told(settings, tiny_model):
    """It would have no effect (PixArt has its modulation in one table before the blocks)."""
    denoiser = tiny_family("pixart", tiny_model("pixart"), "denoiser").denoiser
    with pytest.raises(ConfigError) as caught:
        chosen_layers(denoiser, QuantPlan(name="int8-torchao", **settings))
    assert caught.value.finding.code == "CFG285"


@pytest.mark.parametrize("name", ["int8-torchao", "int8-quanto", "nf4-bnb"])
def test_a_saved_adapter_fits_the_full_base(name, tiny_model, tmp_path):
    """Written, verified on the quantised base, and loaded by diffusers on the full one, where it
    changes the output as it does in training."""
    small = trained("flux", tiny_model("flux"), quant={"base": name})
    saved = small.lora.save(tmp_path, step=1)
    assert [file.verified for file in saved] == [True, True]
    pipe = diffusers_pipeline("flux", tiny_model("flux"))
    pipe.load_lora_weights(str(tmp_path), weight_name="pytorch_lora_weights.safetensors")
    full = trained("flux", tiny_model("flux"))
    with torch.no_grad():
        effect = small.forward() - small.base()
        before, full.family.modules["denoiser"] = full.base(), pipe.transformer
        assert relative(full.forward() - before, effect) < 0.25


@pytest.mark.parametrize("name", QUANTS)
def test_a_state_dict_has_the_usual_names(name, tiny_model):
    """diffusers looks weights up by name when it loads adapters of Flux."""
    full = tiny_family("flux", tiny_model("flux"), "denoiser")
    small = tiny_family("flux", tiny_model("flux"), "denoiser", compute={"quant": {"base": name}})
    assert full.denoiser.state_dict().keys() <= small.denoiser.state_dict().keys()


@pytest.mark.parametrize(("via", "place"), [("cpu", "cpu"), ("accelerator", "meta")])
def test_layers_are_quantised_where_asked(via, place, tiny_model, monkeypatch):
    """On the CPU before anything moves, or one by one on the device."""
    places = set()

    def converter(name, where):
        def convert(linear):
            places.add(linear.weight.device.type)
            return linear

        return convert

    monkeypatch.setattr(quant, "converter", converter)
    family = tiny_family("sd1x", tiny_model("sd1x"), "denoiser")
    plan = QuantPlan(name="int8-torchao", via=via)
    quantise(family.denoiser, plan, device=torch.device("meta"))
    assert places == {place}


def test_text_encoders_one_by_one(tiny_model):
    """Only those listed change; what they encode changes little, and has another cache key."""
    settings = {"quant": {"text_encoders": ["none", "int8-torchao"]}}
    full = tiny_family("flux", tiny_model("flux"), "text")
    small = tiny_family("flux", tiny_model("flux"), "text", compute=settings)
    assert weight_bytes(small.modules["text_encoder"]) == weight_bytes(full.modules["text_encoder"])
    t5 = [weight_bytes(f.modules["text_encoder_2"]) for f in (small, full)]
    assert t5[0] < t5[1]
    entry, expected = (f.encode_text(["a red apple"])[0] for f in (small, full))
    assert torch.equal(entry["pooled_prompt_embeds"], expected["pooled_prompt_embeds"])
    assert 0 < relative(entry["prompt_embeds"], expected["prompt_embeds"]) < 0.02
    assert small.identity("text") != full.identity("text")
    assert small.identity("vae") == full.identity("vae")
    assert small.identity("denoiser") == full.identity("denoiser")


def test_t5_keeps_what_its_class_keeps(tiny_model):
    """T5 asks its last projection for its dtype, which a packed weight answers wrongly."""
    settings = {"quant": {"text_encoders": ["nf4-bnb", "nf4-bnb"]}}
    family = tiny_family("flux", tiny_model("flux"), "text", compute=settings)
    names = {n: type(m).__name__ for n, m in family.modules["text_encoder_2"].named_modules()}
    assert {k for n, k in names.items() if n.endswith(".wo")} == {"Linear"}
    assert {k for n, k in names.items() if n.endswith(".q")} == {"Linear4bit"}
    full = tiny_family("flux", tiny_model("flux"), "text")
    entry, expected = (f.encode_text(["a red apple"])[0] for f in (family, full))
    assert relative(entry["prompt_embeds"], expected["prompt_embeds"]) < 0.6


def test_the_base_is_part_of_the_identity_of_a_run(tiny_model):
    """A checkpoint of one base is not continued on another; where it was quantised is no matter."""

    def identity(**quantised):
        family = tiny_family("sd1x", tiny_model("sd1x"), compute={"quant": quantised})
        return family.identity("denoiser")

    assert identity() == tiny_family("sd1x", tiny_model("sd1x")).identity("denoiser")
    different = [identity(), identity(base="int8-torchao"), identity(base="int8-quanto")]
    assert len(set(different)) == 3
    assert identity(base="int8-torchao", via="cpu") == identity(base="int8-torchao")


def test_a_base_that_is_trained_is_not_quantised(tiny_model):
    """Lint refuses it; code that is called without lint must not train on rounded weights."""
    settings = {"quant": {"base": "int8-torchao"}}
    family = tiny_family(
        "sd1x", tiny_model("sd1x"), "denoiser", model={"mode": "full"}, compute=settings
    )
    plain = tiny_family("sd1x", tiny_model("sd1x"), "denoiser")
    assert weight_bytes(family.denoiser) == weight_bytes(plain.denoiser)


@pytest.mark.parametrize("name", ["int8-torchao", "int8-quanto", "nf4-bnb"])
def test_an_absent_package_is_told_with_its_extra(name, monkeypatch):
    """Instead of a traceback."""
    for module in [
        m for m in sys.modules if m.split(".")[0] in ("torchao", "optimum", "bitsandbytes")
    ]:
        monkeypatch.setitem(sys.modules, module, None)
    for module in ("torchao", "torchao.quantization", "optimum.quanto", "bitsandbytes.nn"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError) as caught:
        quant_backends.converter(name, "compute.quant.base")
    assert caught.value.finding.code == "ENV010"
    assert "[quant]" in caught.value.finding.fix
    assert caught.value.finding.where == "compute.quant.base"


def test_validation_changes_no_weight(tiny_model):
    """bitsandbytes would repack weights on some CPUs when a model is in evaluation mode, and lose
    bits: the prediction after a look in evaluation mode is that of before."""
    small = trained("sd1x", tiny_model("sd1x"), quant={"base": "nf4-bnb"})
    before = small.forward()
    small.family.denoiser.eval()
    with torch.no_grad():
        small.forward()
    small.family.denoiser.train()
    assert torch.equal(small.forward(), before)
    layers = [m for m in small.family.denoiser.modules() if type(m).__name__ == "Linear4bit"]
    assert layers
    assert not any(m.support_avx512bf16_for_cpu for m in layers)


def test_the_configuration_reaches_the_model(tiny_model):
    """From a job file to layers, with its own list of what to keep."""
    config = tiny_config(
        "flux",
        tiny_model("flux"),
        compute={"quant": {"base": "int8-quanto", "keep": ["to_out.0"], "modulation": True}},
    )
    family = tiny_family(
        "flux", tiny_model("flux"), "denoiser", compute=config.compute.model_dump()
    )
    names = {n for n, m in family.denoiser.named_modules() if type(m).__name__ == "QLinear"}
    assert "transformer_blocks.0.norm1.linear" in names
    assert "transformer_blocks.0.attn.to_q" in names
    assert not any(n.endswith("to_out.0") for n in names)


def test_a_format_that_spoils_a_family_is_refused(tiny_model):
    """The fact decides, not a list of families; other formats pass."""
    facts = replace(family_facts("flux"), quant_refused=frozenset({"nf4"}))

    def levels(name):
        config = tiny_config("flux", tiny_model("flux"), compute={"quant": {"base": name}})
        return [(p.code, p.level) for p in family_bears_quantisation(config, facts)]

    assert levels("nf4-bnb") == [("CFG281", "error")]
    assert levels("int4-quanto") == [("CFG282", "warn")]
    assert levels("int8-quanto") == []

"""Variants of LoRA: each begins as the base model, acts as its formula says, and is saved so that
others make the same of it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from safetensors import safe_open

from tests.support.adapters import CAPTIONS, output, pipeline_output
from tests.support.families import random_latents, some_times, tiny_config, tiny_family, told
from trainer.adapters import starts
from trainer.adapters.build import build_trainable
from trainer.config.schema.optimizer import OptimizerArgs, OptimizerConfig
from trainer.config.schema.schedule import ScheduleConfig
from trainer.errors import ConfigError
from trainer.optim.build import build_optimizer, build_schedule

BOTH = ("sd1x", "flux")
ADAM = OptimizerArgs(betas=(0.9, 0.99), eps=1e-8, weight_decay=0.0)
SMALL_Q = [{"module": "to_q", "rank": 2}]
VARIANTS: dict[str, dict[str, Any]] = {
    "rslora": {"rslora": True, "alpha": 2.0},
    "dora": {"dora": True},
    "dora+rslora": {"dora": True, "rslora": True},
    "gaussian": {"init": "gaussian"},
    "orthogonal": {"init": "orthogonal"},
    "pissa": {"init": "pissa", "alpha": 2.0},
    "pissa_niter": {"init": "pissa_niter_8"},
    "pissa+rslora": {"init": "pissa", "rslora": True},
    "olora": {"init": "olora"},
    "sizes": {
        "overrides": [*SMALL_Q, {"module": "to_v", "rank": 6}, {"module": "to_k", "alpha": 1.0}]
    },
    "exclude": {"exclude": ["to_k", r".*\.0\..*to_out\.0"]},
    "everything": {"init": "pissa", "rslora": True, "overrides": SMALL_Q, "exclude": ["to_v"]},
}


def fresh(kind: str, path: Any, **adapter: Any) -> tuple[Any, Any]:
    family = tiny_family(kind, path, "text", "denoiser")
    config = tiny_config(kind, path, adapter={"rank": 4} | adapter)
    return family, build_trainable(config, family, torch.float32)


def moved(lora: Any, by: float = 0.05) -> None:
    """As if trained: every weight a little elsewhere."""
    generator = torch.Generator().manual_seed(5)
    for parameter in lora.parameters().values():
        step = torch.randn(parameter.shape, generator=generator)
        parameter.data.add_(step * by)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("kind", BOTH)
def test_starts_as_the_base_model_and_leaves_it_alone(kind, variant, tiny_model):
    """No effect before the first step, also where the start is a part of the base weights; the
    base weights keep every bit, so the base model is there whenever it is asked for."""
    family = tiny_family(kind, tiny_model(kind), "text", "denoiser")
    weights = {k: v.clone() for k, v in family.denoiser.state_dict().items()}
    before = output(family)
    config = tiny_config(kind, tiny_model(kind), adapter={"rank": 4} | VARIANTS[variant])
    lora = build_trainable(config, family, torch.float32)
    torch.testing.assert_close(output(family), before, atol=1e-6, rtol=1e-6)
    kept = family.denoiser.state_dict()
    assert all(torch.equal(v, kept.get(k, kept.get(_wrapped(k)))) for k, v in weights.items())
    moved(lora)
    assert (output(family) - before).abs().max() > 1e-4
    with lora.base_scope():
        assert torch.equal(output(family), before)
    with lora.at_strength(0.0):
        assert torch.equal(output(family), before)


def _wrapped(name: str) -> str:
    head, _, tail = name.rpartition(".")
    return f"{head}.base_layer.{tail}"


@pytest.mark.parametrize(
    ("kind", "variant"),
    [*(("flux", v) for v in VARIANTS), *(("sd1x", v) for v in ("dora", "pissa", "everything"))],
)
def test_files_act_the_same_on_the_untouched_base(kind, variant, tiny_model, tmp_path):
    """What is written is plain LoRA or DoRA: diffusers' own class on a fresh model gives the
    output of the model in training, from either layout."""
    family, lora = fresh(kind, tiny_model(kind), **VARIANTS[variant])
    moved(lora)
    expected = output(family)
    files = {f.layout: f for f in lora.save(tmp_path, step=5)}
    assert all(f.verified and not f.findings for f in files.values()), files
    names = [files["diffusers"].path.name]
    several_alphas = kind == "sd1x" and variant in ("sizes", "everything")
    if "dora" not in variant and not several_alphas:  # diffusers does not read these of ComfyUI's
        names.append(files["comfyui"].path.name)
    for name in names:
        loaded = pipeline_output(kind, tiny_model(kind), tmp_path, name)
        torch.testing.assert_close(loaded, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("variant", ["dora", "rslora", "sizes", "pissa"])
@pytest.mark.parametrize("name", ["pytorch_lora_weights", "{kind}-comfyui"])
def test_a_variants_file_is_a_start(variant, name, tiny_model, tmp_path):
    """`adapter.init_from` takes what was written; PiSSA's file is a LoRA of twice the rank."""
    family, lora = fresh("flux", tiny_model("flux"), **VARIANTS[variant])
    moved(lora)
    expected = output(family)
    lora.save(tmp_path, step=5)
    path = tmp_path / f"{name.format(kind='flux')}.safetensors"
    again = {"rank": 8} if variant == "pissa" else VARIANTS[variant]
    other, _ = fresh("flux", tiny_model("flux"), **(again | {"init_from": str(path)}))
    torch.testing.assert_close(output(other), expected, atol=1e-5, rtol=1e-4)


def test_state_holds_the_prior(tiny_model):
    """PiSSA's first pair is in the checkpoint: another machine's SVD must not shift the model."""
    family, lora = fresh("flux", tiny_model("flux"), init="pissa_niter_2")
    moved(lora)
    state = {k: v.clone() for k, v in lora.state_dict().items()}
    expected = output(family)
    other_family, other = fresh("flux", tiny_model("flux"), init="pissa")
    other.load_state_dict(state)
    assert torch.equal(output(other_family), expected)
    assert not any("prior" in name for name in lora.parameters())


def test_rslora_acts_with_the_root_of_the_rank(tiny_model):
    """Scale alpha / sqrt(rank), module by module, also where a module has its own rank."""
    own = [{"module": "to_q", "rank": 16}]
    family, _ = fresh("flux", tiny_model("flux"), rslora=True, alpha=2.0, overrides=own)
    scales = {
        n: m.scaling["default"] for n, m in family.denoiser.named_modules() if hasattr(m, "scaling")
    }
    assert all(
        s == pytest.approx(2 / math.sqrt(16 if "to_q" in n else 4)) for n, s in scales.items()
    )


def test_dora_trains_rows_of_given_length(tiny_model):
    """The weight that acts has exactly the trained magnitudes as its row lengths."""
    family, lora = fresh("flux", tiny_model("flux"), dora=True, targets=["x_embedder"])
    moved(lora)
    layer = family.denoiser.x_embedder
    eye = torch.eye(layer.in_features)
    with torch.no_grad():
        acting = (layer(eye) - layer.base_layer.bias).t()
    magnitude = lora.parameters()["x_embedder.lora_magnitude_vector"]
    torch.testing.assert_close(acting.norm(dim=1), magnitude.data, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", ["dora", "pissa", "rslora"])
def test_strength_scales_the_change(variant, tiny_model):
    """At half strength one layer's output lies half way between the base's and the trained one."""
    family, lora = fresh("flux", tiny_model("flux"), **VARIANTS[variant], targets=["x_embedder"])
    moved(lora)
    layer, x = family.denoiser.x_embedder, torch.randn(3, 64)
    with torch.no_grad():
        base, whole = layer.base_layer(x), layer(x)
        with lora.at_strength(0.5):
            half = layer(x)
        assert torch.equal(layer(x), whole)
    torch.testing.assert_close(half, (base + whole) / 2, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("init", ["pissa", "pissa_niter_16", "olora"])
def test_the_start_is_the_main_part_of_the_weight(init):
    """PiSSA takes the largest singular directions, so what is left is as small as it can be;
    OLoRA an orthonormal basis."""
    torch.manual_seed(0)
    weight = torch.randn(12, 20) @ torch.diag(torch.linspace(3, 0.1, 20))
    down, up = starts.pair(init, weight, 4, 2.0)
    if init == "olora":
        torch.testing.assert_close(up.t() @ up, torch.eye(4))
        return
    left = torch.linalg.matrix_norm(weight - 2.0 * up @ down, 2)
    torch.testing.assert_close(left, torch.linalg.svdvals(weight)[4], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(up.norm(dim=0), down.norm(dim=1), atol=1e-4, rtol=1e-4)


def test_a_rank_beyond_the_layer_is_filled(tiny_model):
    """Where a layer has fewer directions than the rank, the rest starts as usual, without effect,
    but can learn."""
    family, lora = fresh("flux", tiny_model("flux"), init="pissa", rank=40, targets=["to_q"])
    before = output(family)
    down = next(p for n, p in lora.parameters().items() if n.endswith("lora_A.weight"))
    assert down.shape[0] == 40
    assert (down[32:].abs().sum(dim=1) > 0).all()
    with lora.base_scope():
        torch.testing.assert_close(output(family), before, atol=1e-5, rtol=1e-5)


def test_lora_plus_is_a_factor_on_the_up_projections(tiny_model):
    """Two groups: B at the ratio, everything else at the rate; no parameter twice or nowhere."""
    _, lora = fresh("flux", tiny_model("flux"), lora_plus_ratio=16.0, dora=True)
    rest, ups = lora.groups()
    assert ups["lr_factor"] == 16.0
    assert "lr_factor" not in rest
    names = {id(p): n for n, p in lora.parameters().items()}
    assert {names[id(p)] for p in ups["params"]} == {n for n in names.values() if "lora_B" in n}
    assert len(rest["params"]) + len(ups["params"]) == len(names)
    optimizer = build_optimizer(OptimizerConfig(name="adamw", args=ADAM), "adapter", lora.groups())
    build_schedule(ScheduleConfig(warmup=2), 1e-3, 10).apply(optimizer, 1)
    assert [group["lr"] for group in optimizer.param_groups] == [5e-4, 8e-3]


def test_sizes_and_exclusions_are_as_asked(tiny_model, tmp_path):
    """Ranks and alphas by pattern, and none of the excluded modules; the header tells the same."""
    own = [*SMALL_Q, {"module": r"transformer_blocks\..*to_v", "alpha": 1.0}]
    _, lora = fresh("flux", tiny_model("flux"), overrides=own, exclude=["to_add_out"])
    memory = lora.tensors()
    assert not any("to_add_out" in m for m in memory.modules)
    for module in memory.modules:
        assert memory.rank(module) == (2 if module.endswith("to_q") else 4)
        alone = module.startswith("transformer_blocks") and module.endswith("to_v")
        assert memory.alphas[module] == (1.0 if alone else memory.rank(module))
    path = {f.layout: f for f in lora.save(tmp_path, step=0)}["diffusers"].path
    with safe_open(path, "pt") as file:
        packed = json.loads(file.metadata()["lora_adapter_metadata"])
    assert set(packed["transformer.target_modules"]) == set(memory.modules)


@pytest.mark.parametrize("key", ["overrides", "exclude"])
def test_a_pattern_without_a_module_is_refused(key, tiny_model):
    """A pattern that means nothing is an error with names to choose from."""
    value = ["nothing"] if key == "exclude" else [{"module": "nothing", "rank": 2}]
    with pytest.raises(ConfigError, match="nothing") as caught:
        fresh("flux", tiny_model("flux"), **{key: value})
    assert caught.value.finding.code == "LOR010"
    assert caught.value.finding.where == f"adapter.{key}"


@pytest.mark.parametrize("variant", ["dora", "pissa"])
@pytest.mark.parametrize("kind", BOTH)
def test_checkpointing_changes_no_gradient(kind, variant, tiny_model):
    """Recomputing forward gives the gradients of the plain pass."""

    def gradients(checkpointing: bool) -> list[torch.Tensor]:
        family, lora = fresh(kind, tiny_model(kind), **VARIANTS[variant])
        moved(lora)
        if checkpointing:
            family.enable_checkpointing()
        text = family.collate_text(family.encode_text(CAPTIONS))
        family.denoiser.train()
        out = family.forward(random_latents(family), some_times(family), told(text))
        out.square().mean().backward()
        return [p.grad for p in lora.parameters().values()]

    for plain, again in zip(gradients(False), gradients(True), strict=True):
        assert torch.equal(plain, again)

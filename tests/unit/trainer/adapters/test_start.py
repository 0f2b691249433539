"""How an adapter begins: as the identity from a seed, or as what a file holds."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from tests.support.adapters import CAPTIONS, output, trained
from tests.support.families import (
    KINDS,
    layouts_of,
    random_latents,
    some_times,
    tiny_config,
    tiny_family,
    told,
)
from trainer.adapters.build import build_trainable
from trainer.errors import ConfigError, DataError


def test_only_up_projections_learn_first(tiny_model):
    """A fresh adapter is the identity, and exactly its B matrices get a gradient."""
    family = tiny_family("flux", tiny_model("flux"), "text", "denoiser")
    before = output(family)
    lora = build_trainable(
        tiny_config("flux", tiny_model("flux"), adapter={"rank": 4}), family, torch.float32
    )
    torch.testing.assert_close(output(family), before)
    family.denoiser.train()
    text = family.collate_text(family.encode_text(CAPTIONS))
    out = family.forward(random_latents(family), some_times(family), told(text))
    out.square().mean().backward()
    moved = {n for n, p in lora.parameters().items() if p.grad is not None and p.grad.any()}
    assert moved == {n for n in lora.parameters() if "lora_B" in n}


def test_same_seed_same_start(tiny_model):
    """Initial values follow the run's seed, and the global generator is left alone."""

    def start(seed: int) -> torch.Tensor:
        family = tiny_family("flux", tiny_model("flux"), "denoiser")
        config = tiny_config(
            "flux", tiny_model("flux"), adapter={"rank": 4, "init": "gaussian"}, job={"seed": seed}
        )
        state = torch.random.get_rng_state()
        lora = build_trainable(config, family, torch.float32)
        assert torch.equal(state, torch.random.get_rng_state())
        return next(iter(lora.state_dict().values())).clone()

    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))


@pytest.mark.parametrize(("kind", "layout"), [(k, f) for k in KINDS for f in layouts_of(k)])
def test_start_from_an_adapter_file(kind, layout, tiny_model, tmp_path):
    """`adapter.init_from` takes every layout as the start."""
    family, lora = trained(kind, tiny_model(kind))
    expected = output(family)
    files = {file.layout: file.path for file in lora.save(tmp_path, step=5)}
    again = tiny_family(kind, tiny_model(kind), "text", "denoiser")
    adapter = {"rank": 4, "init_from": str(files[layout])}
    build_trainable(tiny_config(kind, tiny_model(kind), adapter=adapter), again, torch.float32)
    torch.testing.assert_close(output(again), expected)


def test_start_from_another_rank_is_refused(tiny_model, tmp_path):
    """A file that does not fit is a finding with the counts, not a shape error."""
    _, lora = trained("flux", tiny_model("flux"))
    path = lora.save(tmp_path, step=5)[0].path
    family = tiny_family("flux", tiny_model("flux"), "denoiser")
    config = tiny_config("flux", tiny_model("flux"), adapter={"rank": 8, "init_from": str(path)})
    with pytest.raises(DataError, match="other shape"):
        build_trainable(config, family, torch.float32)


def test_unknown_targets_are_refused(tiny_model):
    """Targets that match nothing are an error with the known presets."""
    family = tiny_family("flux", tiny_model("flux"), "denoiser")
    config = tiny_config("flux", tiny_model("flux"), adapter={"targets": ["to_q", "nothing"]})
    with pytest.raises(ConfigError, match="nothing"):
        build_trainable(config, family, torch.float32)


@pytest.mark.parametrize("alpha", [1.0, 8.0])
@pytest.mark.parametrize("name", ["pytorch_lora_weights", "{kind}-comfyui"])
@pytest.mark.parametrize("kind", ["sdxl", "flux"])
def test_start_keeps_the_files_own_scale(kind, name, alpha, tiny_model, tmp_path):
    """A file with another alpha than this run's starts with the same effect as it had."""
    family, lora = trained(kind, tiny_model(kind), alpha=alpha)
    expected = output(family)
    lora.save(tmp_path, step=5)
    again = tiny_family(kind, tiny_model(kind), "text", "denoiser")
    path = tmp_path / f"{name.format(kind=kind)}.safetensors"
    adapter = {"rank": 4, "alpha": 4.0, "init_from": str(path)}
    build_trainable(tiny_config(kind, tiny_model(kind), adapter=adapter), again, torch.float32)
    torch.testing.assert_close(output(again), expected, atol=1e-5, rtol=1e-4)


def test_precision_and_dropout_are_as_asked(tiny_model, tmp_path):
    """bf16 weights where the optimiser keeps them, dropout on the input, files verified."""
    family = tiny_family("flux", tiny_model("flux"), "denoiser")
    config = tiny_config("flux", tiny_model("flux"), adapter={"rank": 4, "dropout": 0.25})
    lora = build_trainable(config, family, torch.bfloat16)
    assert {p.dtype for p in lora.parameters().values()} == {torch.bfloat16}
    rates = {m.p for n, m in family.denoiser.named_modules() if n.endswith("lora_dropout.default")}
    assert rates == {0.25}
    for name, parameter in lora.parameters().items():
        if "lora_B" in name:
            parameter.data.fill_(0.01)
    saved = lora.save(tmp_path, step=1)
    assert all(f.verified for f in saved)
    assert {t.dtype for t in load_file(saved[0].path).values()} == {torch.bfloat16}

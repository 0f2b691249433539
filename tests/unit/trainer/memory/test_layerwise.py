"""Encoders and autoencoders layer by layer through the device: the same numbers."""

from __future__ import annotations

import pytest
import torch

from tests.support.families import KINDS, edge, kind_of, tiny_family
from trainer.memory import layerwise


def hooked(module: torch.nn.Module) -> int:
    return sum(hasattr(m, "_diffusers_hook") for m in module.modules())


@pytest.mark.parametrize("kind", KINDS)
def test_text_and_latents_are_the_same(kind, tiny_model):
    """Embeddings, latents and pictures equal to the last bit; the hooks are there."""
    settings = {"offload": {"text_encoders": True, "vae": True}}
    plain = tiny_family(kind, tiny_model(kind), "text", "vae")
    made = tiny_family(kind, tiny_model(kind), "text", "vae", compute=settings)
    for name, module in made.modules.items():
        assert hooked(module) > 3, name
        assert hooked(plain.modules[name]) == 0
    found, expected = (f.encode_text(["a red apple"])[0] for f in (made, plain))
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    pixels = torch.rand(1, 3, edge(kind), edge(kind)) * 2 - 1
    latents = [f.encode_media(pixels, [1]) for f in (made, plain)]
    assert torch.equal(*latents)
    if kind_of(kind).decodes:
        assert torch.equal(made.decode(latents[0]), plain.decode(latents[0]))


def test_the_denoiser_is_left_alone(tiny_model):
    """Its backward would find weights gone."""
    settings = {"offload": {"text_encoders": True, "vae": True}}
    made = tiny_family("flux", tiny_model("flux"), "denoiser", compute=settings)
    assert hooked(made.denoiser) == 0


def test_streams_only_where_there_are_some(monkeypatch):
    """And weights rest in host memory, whatever the device."""
    import diffusers.hooks

    asked = []
    monkeypatch.setattr(
        diffusers.hooks, "apply_group_offloading", lambda module, **kwargs: asked.append(kwargs)
    )
    for device in ("cpu", "cuda"):
        layerwise.through_device(torch.nn.Linear(1, 1), torch.device(device))
    assert [a["use_stream"] for a in asked] == [False, True]
    assert {a["offload_device"].type for a in asked} == {"cpu"}
    assert [a["onload_device"].type for a in asked] == ["cpu", "cuda"]

"""Effects are measured, and one that is missing is told; families that heed an option are not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tests.support.families import KINDS, tiny_config, tiny_family
from trainer.adapters.build import build_trainable
from trainer.models import components
from trainer.models.base import Family
from trainer.rehearse import audit


def share(found: audit.Effect) -> float:
    assert found.share is not None
    return found.share


def checkpointing(kind: str, path, **config) -> audit.Effect:
    compute = {"checkpointing": config}
    job = tiny_config(kind, path, compute=compute, adapter={"rank": 4})
    family = tiny_family(kind, path, "denoiser", compute=compute)
    build_trainable(job, family, torch.float32)
    before = audit.kept_by_forward(family)
    family.ready_denoiser()
    (found,) = audit.checkpointing_effect(job, before, family)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_families_that_checkpoint_are_not_told(kind, tiny_model):
    """On the smallest input, every family lowers what is kept."""
    found = checkpointing(kind, tiny_model(kind))
    assert 0.1 < share(found) <= 1.0, found
    assert audit.remark(found) is None


@pytest.mark.parametrize("config", [{"mode": "offload"}, {"mode": "selective"}, {"interval": 2}])
def test_every_mode_shows_its_effect(config, tiny_model):
    """Also one that keeps much is far above the threshold."""
    assert share(checkpointing("flux", tiny_model("flux"), **config)) > 0.1


def test_a_family_that_ignores_checkpointing_is_told(tiny_model, monkeypatch):
    """B04: with the number that was measured."""
    monkeypatch.setattr(Family, "checkpoint_with", lambda *_: None)
    found = checkpointing("flux", tiny_model("flux"))
    assert found.before == found.after
    told = audit.remark(found)
    assert told is not None
    assert (told.code, told.level, told.where) == ("RUN032", "warn", "compute.checkpointing")
    assert f"{found.after:,.0f}" in told.message


@pytest.mark.parametrize(("heeded", "codes"), [(True, set()), (False, {"RUN032"})])
def test_bytes_of_weights(heeded, codes, tiny_model, monkeypatch):
    """Rounding to 8 bits halves the layers of a bf16 base; a rounding that does nothing is told."""
    pytest.importorskip("optimum.quanto")
    if not heeded:
        monkeypatch.setattr(components, "quantise", lambda *_, **__: None)
    compute = {"quant": {"base": "int8-quanto"}}
    config = tiny_config("flux", tiny_model("flux"), compute=compute)
    family = tiny_family("flux", tiny_model("flux"), "denoiser", compute=compute)
    (found,) = audit.weight_effects(config, family)
    assert (share(found) > 0.3) is heeded
    assert {f.code for f in [audit.remark(found)] if f} == codes


def test_a_ring_as_large_as_what_is_away_saves_nothing(tiny_model):
    """Two blocks away and two buffers on the device: counted in bytes."""
    compute = {"offload": {"blocks": 2}}
    job = tiny_config("flux", tiny_model("flux"), compute=compute, adapter={"rank": 4})
    family = tiny_family("flux", tiny_model("flux"), "denoiser", compute=compute)
    build_trainable(job, family, torch.float32)
    family.ready_denoiser()
    (found,) = audit.weight_effects(job, family)
    assert family.swap is not None
    assert found.before == sum(block.host.nbytes for block in family.swap.blocks)
    assert share(found) <= 0
    family.swap.slots.pop()
    (found,) = audit.weight_effects(job, family)
    assert 0 < share(found) < 1


@pytest.mark.parametrize("adapter", [{"targets": ["to_q"]}, {"exclude": ["to_q"]}, {}])
def test_targets_change_what_is_trained(adapter, tiny_model):
    """Counted by modules, against the same job without the key."""
    config = tiny_config("flux", tiny_model("flux"), adapter={"rank": 4, **adapter})
    family = tiny_family("flux", tiny_model("flux"), "denoiser")
    trainable = build_trainable(config, family, torch.float32)
    found = list(audit.target_effects(config, family, trainable))
    assert [one.option for one in found] == [f"adapter.{name}" for name in adapter]
    assert not any(audit.remark(one) for one in found)
    if "targets" in adapter:
        (one,) = found
        names = [n for n, _ in family.denoiser.named_modules() if n.endswith(".to_q")]
        assert one.after == len(names)
        assert share(one) > 0.5


def test_targets_that_are_the_usual_ones_are_told(tiny_model):
    """A list that selects what the family's own list does changes nothing."""
    usual = tiny_family("flux", tiny_model("flux"), "denoiser")
    facts = usual.facts
    targets = list(facts.lora_targets[facts.default_targets])
    config = tiny_config("flux", tiny_model("flux"), adapter={"rank": 4, "targets": targets})
    trainable = build_trainable(config, usual, torch.float32)
    (found,) = audit.target_effects(config, usual, trainable)
    told = audit.remark(found)
    assert told is not None
    assert told.where == "adapter.targets"


def test_encoders_that_are_called_again_are_told():
    """A second preparation that encodes what the first did has no cache."""
    family = SimpleNamespace(**{name: lambda samples: samples for name in audit.ENCODING})
    first = audit.EncoderCalls(family)  # type: ignore[arg-type]
    family.encode_captions(["a", "b"])
    family.posterior(torch.zeros(3, 1))
    assert first.total == 5
    again = SimpleNamespace(**{name: lambda samples: samples for name in audit.ENCODING})
    second = audit.EncoderCalls(again)  # type: ignore[arg-type]
    assert audit.cache_effect(first, second).share == 1.0
    again.posterior(torch.zeros(5, 1))
    told = audit.remark(audit.cache_effect(first, second))
    assert told is not None
    assert told.where == "cache"

"""HiDream's experts are kept equally busy, where that is asked for and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.floor import our_parts
from tests.support.families import tiny_family, told
from tests.unit.trainer.models.test_hidream import latents, random_text
from trainer.data.prepare import make_loader
from trainer.loop.step import micro_batch_loss
from trainer.models.parts.expert_balance import balance


def balanced(path: Path, weight: float = 0.01) -> Any:
    model = {"options": {"hidream": {"balance_weight": weight}}}
    family = tiny_family("hidream", path, "denoiser", model=model)
    family.denoiser.requires_grad_(True).train()
    return family


def gates(family: Any) -> list[Any]:
    return [m for m in family.denoiser.modules() if type(m).__name__ == "MoEGate"]


def run(family: Any) -> torch.Tensor:
    out = family.forward(latents(8, 8), torch.tensor([0.4]), told(random_text(family), 1))
    return out.square().mean()


def test_equal_work_is_one():
    """Every expert picked equally often and scored alike."""
    scores = torch.full((8, 4), 0.25)
    picks = torch.tensor([[0, 1], [2, 3]] * 4)
    torch.testing.assert_close(balance(scores, picks), torch.tensor(1.0))
    one_sided = torch.tensor([[0.97, 0.01, 0.01, 0.01]] * 8)
    assert balance(one_sided, torch.tensor([[0, 1]] * 8)) > 1.9


def test_the_term_is_the_one_that_the_class_computes(tiny_model):
    """The third output of its routers, which it drops, at the weight that it has inside."""
    family = balanced(tiny_model("hidream"))
    terms: list[torch.Tensor] = []
    for gate in gates(family):
        gate.alpha = 0.01
        gate.register_forward_hook(lambda _m, _i, out: terms.append(out[2]))
    run(family)
    assert len(terms) == len(gates(family)) == 2
    torch.testing.assert_close(family.extra_loss(), sum(terms))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_gradient_reaches_the_routers_once(checkpointing, tiny_model):
    """From the extra loss alone; layers that are computed again in backward add nothing."""

    def gradients(recompute: bool) -> tuple[torch.Tensor, list[torch.Tensor]]:
        family = balanced(tiny_model("hidream"))
        if recompute:
            family.enable_checkpointing()
        run(family)
        extra = family.extra_loss()
        extra.backward()
        assert torch.equal(family.extra_loss(), extra)
        return extra, [gate.weight.grad for gate in gates(family)]

    plain, expected = gradients(False)
    extra, found = gradients(checkpointing)
    assert torch.equal(extra, plain)
    assert all(g.any() for g in found)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_the_step_adds_it_but_not_to_a_prior(tiny_model, tmp_path):
    """Loss with it minus loss without is the term; the base model's own prediction has none."""
    parts = our_parts(tiny_model("hidream"), "hidream", tmp_path, 64)
    batch = next(iter(make_loader(parts.prepared, parts.family, parts.config, 0)))
    parts.family.denoiser.train()
    plain = micro_batch_loss(parts, batch)
    assert parts.family.extra_loss() is None
    family = tiny_family(
        "hidream",
        tiny_model("hidream"),
        "denoiser",
        model={"options": {"hidream": {"balance_weight": 0.5}}},
    )
    family.denoiser.train()
    parts.family = family
    whole = micro_batch_loss(parts, batch)
    extra = family.extra_loss()
    assert extra is not None
    assert extra > 0.9  # two routers
    torch.testing.assert_close(whole, plain + extra)
    assert micro_batch_loss(parts, replace(batch, prior=True)) == 0.0


def test_nothing_is_collected_outside_of_training(tiny_model):
    """Held-out losses stay what they are with and without the option."""
    family = balanced(tiny_model("hidream"))
    family.denoiser.eval()
    with torch.no_grad():
        run(family)
    assert family.extra_loss() is None
    family.denoiser.train()
    with torch.no_grad():
        run(family)
    assert family.extra_loss() is None

"""Other adapter files on the model for a while: they act as they were saved, and leave nothing."""

from __future__ import annotations

import pytest
import torch

from tests.support import lycoris
from tests.support.adapters import output, trained
from tests.support.families import tiny_config, tiny_family
from trainer.adapters.beside import beside
from trainer.adapters.build import build_trainable
from trainer.errors import DataError

ADAPTERS = {
    "lora": {"kind": "lora", "rank": 4, "alpha": 2.0},
    "dora": {"kind": "lora", "rank": 4, "dora": True},
    "pissa": {
        "kind": "lora",
        "rank": 4,
        "init": "pissa",
        "overrides": [{"module": "to_q", "rank": 2}],
    },
    **{name: lycoris.CASES[name] for name in ("lokr+dora", "full", "boft limited", "dylora")},
    "ia3": lycoris.CASES["ia3"],
}


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("flux", name) for name in ADAPTERS), ("sd1x", "dora"), ("sd1x", "lokr+dora")],
)
def test_a_file_acts_as_it_was_trained(kind, name, tiny_model, tmp_path):
    """Every file that is written, of either layout, gives the output of its training: on the bare
    model, and on one that another adapter is trained on, in whose place it then acts."""
    family, adapter = lycoris.fresh(kind, tiny_model(kind), **ADAPTERS[name])
    lycoris.moved(adapter)
    expected = output(family)
    paths = [saved.path for saved in adapter.save(tmp_path, step=5)]
    bare = tiny_family(kind, tiny_model(kind), "text", "denoiser")
    before = output(bare)
    for path in paths:
        with beside(bare.denoiser, path, 1.0):
            torch.testing.assert_close(output(bare), expected, atol=2e-5, rtol=1e-4)
        with beside(bare.denoiser, path, 0.0):
            assert torch.equal(output(bare), before)
        assert torch.equal(output(bare), before)
    family, other = trained(kind, tiny_model(kind))
    with other.base_scope(), beside(family.denoiser, paths[0], 1.0):
        torch.testing.assert_close(output(family), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["lora", "lycoris"])
def test_it_adds_to_what_is_trained(kind, tiny_model, tmp_path):
    """Together, a linear layer's change is the sum of both, at the strengths asked for."""
    _, first = lycoris.fresh("flux", tiny_model("flux"), kind="lora", targets=["x_embedder"])
    lycoris.moved(first)
    path = first.save(tmp_path, step=1)[0].path
    family, second = lycoris.fresh("flux", tiny_model("flux"), kind=kind, targets=["x_embedder"])
    lycoris.moved(second, 0.1)
    x = torch.randn(3, 64)

    @torch.no_grad()
    def call() -> torch.Tensor:
        return family.denoiser.get_submodule("x_embedder")(x)

    with second.base_scope():
        base = call()
        with beside(family.denoiser, path, 1.0):
            one = call() - base
    trained_change = call() - base
    with beside(family.denoiser, path, 0.5):
        torch.testing.assert_close(call() - base, trained_change + one / 2, atol=1e-5, rtol=1e-4)


def test_a_model_trained_in_full_is_drawn_with_it_too(tiny_model, tmp_path):
    """No layer gets another name or weight: the saved model would otherwise not open again."""
    _, lora = trained("sd1x", tiny_model("sd1x"))
    path = lora.save(tmp_path, step=5)[0].path
    family = tiny_family("sd1x", tiny_model("sd1x"), "text", "denoiser")
    config = tiny_config("sd1x", tiny_model("sd1x"), model={"mode": "full"})
    build_trainable(config, family, torch.float32)
    names = list(family.denoiser.state_dict())
    before = output(family)
    with beside(family.denoiser, path, 1.0):
        assert not torch.equal(output(family), before)
    assert list(family.denoiser.state_dict()) == names
    assert torch.equal(output(family), before)


def test_a_file_for_another_model_is_refused(tiny_model, tmp_path):
    """Its layers are not there; the first is named."""
    _, lora = trained("flux", tiny_model("flux"))
    path = lora.save(tmp_path, step=5)[0].path
    family = tiny_family("sd1x", tiny_model("sd1x"), "denoiser")
    with pytest.raises(DataError, match=r"transformer_blocks\.0"):
        with beside(family.denoiser, path, 1.0):
            pass

"""The forms of change, layer by layer: what they compute, how they train, what they wait for."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.support.families import random_latents, some_times, tiny_family, told
from tests.support.lycoris import CASES, fresh, moved, of
from tests.unit.trainer.models.test_forward import Reads, text_of
from trainer.adapters.lycoris.algorithms import ALGORITHMS, scale
from trainer.adapters.lycoris.change import DORA, Change, Form, Switch, lengths
from trainer.adapters.lycoris.layer import Layer
from trainer.errors import ConfigError

LINEAR = nn.Linear(24, 16)
CONVOLUTION = nn.Conv2d(8, 16, 3, stride=2, padding=1, padding_mode="circular")
FORMS = {
    "lora": {"rslora": True},
    "loha": {},
    "lokr": {"factor": 4},
    "full": {},
    "ia3": {},
    "dylora": {"block_size": 2},
    "diag-oft": {"rescaled": True},
    "boft": {"constraint": 1e-3},
    "glora": {},
}


def change_of(module: nn.Module, algo: str, *, filled: bool = True, **form) -> Change:
    """A change of one layer with values as if trained."""
    asked = Form(algo=algo, rank=4, alpha=2.0, **FORMS[algo] | form)
    layer = Layer("layer", module)
    torch.manual_seed(1)
    tensors = ALGORITHMS[algo].start(layer, asked)
    if asked.dora:
        tensors[DORA] = lengths(layer)
    if filled:
        tensors = {n: t + torch.randn(t.shape) * 0.1 for n, t in tensors.items()}
    return Change(
        layer=layer,
        algorithm=ALGORITHMS[algo],
        tensors={n: nn.Parameter(t) for n, t in tensors.items()},
        scale=scale(asked, tensors),
        constraint=asked.constraint,
    )


def inputs(module: nn.Module, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    shape = (2, 5, 24) if isinstance(module, nn.Linear) else (2, 8, 6, 6)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)


DORA_TOO = [*((algo, False) for algo in FORMS), ("lora", True), ("loha", True), ("lokr", True)]


@pytest.mark.parametrize(("algo", "dora"), DORA_TOO)
@pytest.mark.parametrize("module", [LINEAR, CONVOLUTION], ids=["linear", "convolution"])
def test_the_layer_acts_as_with_the_changed_weight(module, algo, dora):
    """Base plus change is the layer with the weight that the form stands for, by whatever way."""
    change = change_of(module, algo, dora=dora)
    weight, bias = change.weight()
    weight = module.weight + weight
    if dora:
        rows = weight.flatten(1).norm(dim=1, keepdim=True)
        weight = (weight.flatten(1) / rows).view_as(weight) * change[DORA]
    x = inputs(module)
    expected = change.layer.apply(x, weight, module.bias if bias is None else module.bias + bias)
    torch.testing.assert_close(module(x) + change(x), expected, atol=1e-5, rtol=1e-4)


def test_lora_is_scaled_by_alpha_over_the_rank():
    """And by the root of the rank as rsLoRA; whole Kronecker factors act as they are."""
    assert change_of(LINEAR, "lora").scale == 2.0 / math.sqrt(4)
    assert change_of(LINEAR, "loha").scale == 0.5
    assert change_of(LINEAR, "lokr", full_matrix=True).scale == 1.0
    assert change_of(LINEAR, "full").scale == 1.0


@pytest.mark.parametrize(("algo", "dora"), DORA_TOO)
def test_small_changes_are_not_rounded_away(algo, dora):
    """On a bf16 base a change far below the weights' own last bit acts in full: it is never added
    to them. Its size and direction are those of the same change on an fp32 base."""
    module = nn.Linear(24, 16).to(torch.bfloat16)
    change = change_of(module, algo, filled=False, dora=dora)
    for tensor in change.tensors.values():
        tensor.data.add_(torch.randn(tensor.shape) * 1e-4)
    x = inputs(module, torch.bfloat16)
    exact = Layer("layer", module).apply(x.float(), *change.weight())
    if dora:
        weight = module.weight.float() + change.weight()[0]
        ratio = change[DORA].flatten() / weight.norm(dim=1)
        exact = F.linear(x.float(), weight * ratio[:, None] - module.weight.float())
    found = change(x).float()
    assert (found - exact).abs().max() < 0.03 * exact.abs().max()


@pytest.mark.parametrize("algo", FORMS)
def test_under_autocast_it_is_bf16_arithmetic_on_fp32_weights(algo):
    """The same within bf16's precision, and gradients arrive in fp32."""
    module = nn.Linear(24, 16).to(torch.bfloat16)
    change = change_of(module, algo)
    exact = change(inputs(module, torch.bfloat16)).float()
    with torch.autocast("cpu", torch.bfloat16):
        found = change(inputs(module))
    assert (found.float() - exact).abs().max() < 0.03 * exact.abs().max()
    found.float().square().sum().backward()
    grads = [t.grad for t in change.tensors.values()]
    assert all(g is not None and g.dtype is torch.float32 and g.any() for g in grads)


def test_dropout_acts_only_in_training():
    """The rate of the configuration, on the inputs of the change, and none at validation."""
    change = change_of(LINEAR, "loha")
    change.dropout = 0.5
    x = inputs(LINEAR)
    LINEAR.eval()
    still = change(x)
    assert torch.equal(change(x), still)
    LINEAR.train()
    torch.manual_seed(0)
    assert not torch.equal(change(x), still)
    torch.manual_seed(0)
    dropped = change(x)
    torch.manual_seed(0)
    torch.testing.assert_close(dropped, F.linear(F.dropout(x, 0.5), change.weight()[0]))


def test_dylora_trains_the_last_block_of_each_step():
    """A step uses the first blocks, teaches the last of them, and acts as if cut off there; out of
    training all blocks act."""
    change = change_of(LINEAR, "dylora")
    change.switch = Switch(part=0.6)  # the second of two blocks: all four ranks
    LINEAR.train()
    whole = change(inputs(LINEAR))
    whole.sum().backward()
    taught = {n for n, t in change.tensors.items() if t.grad is not None}
    assert taught == {"lora_down.1", "lora_up.1"}
    change.switch.part = 0.4
    cut = change(inputs(LINEAR))
    first = F.linear(F.linear(inputs(LINEAR), change["lora_down.0"]), change["lora_up.0"])
    torch.testing.assert_close(cut, first * 2.0 / 2)  # alpha over the two ranks in use
    LINEAR.eval()
    torch.testing.assert_close(change(inputs(LINEAR)), whole)
    LINEAR.train()


def test_dyloras_rank_follows_the_step(tiny_model):
    """The draw depends on the seed and the number of the step alone, and covers the blocks."""
    _, adapter = fresh("flux", tiny_model("flux"), **of("dylora"))
    parts = []
    for step in [*range(40), 7]:
        adapter.prepare(step)
        parts.append(adapter.switch.part)
    assert parts[7] == parts[40]
    assert {int(part * 4) for part in parts} == {0, 1, 2, 3}


def test_the_limit_of_a_rotation_holds():
    """Blocks beyond the constraint turn no further; below it nothing is changed."""
    change = change_of(LINEAR, "diag-oft", rescaled=False, constraint=1e-2)
    free = change_of(LINEAR, "diag-oft", rescaled=False)
    limited, _ = change.weight()
    assert limited.norm() < 0.5 * free.weight()[0].norm()
    for tensor in (*change.tensors.values(), *free.tensors.values()):
        tensor.data.mul_(0.01)
    torch.testing.assert_close(change.weight()[0], free.weight()[0])


@pytest.mark.parametrize("algo", ["diag-oft", "boft"])
def test_a_rotation_keeps_lengths_and_angles(algo):
    """The changed weight has the same inner products between its inputs' columns."""
    change = change_of(LINEAR, algo, rescaled=False, constraint=None)
    turned = LINEAR.weight + change.weight()[0]
    assert not torch.allclose(turned, LINEAR.weight, atol=1e-2)
    torch.testing.assert_close(turned.t() @ turned, LINEAR.weight.t() @ LINEAR.weight)


def test_a_start_from_noise_is_like_the_base_weight():
    """LoKr's noise has the base's mean and spread, times the share that is asked for."""
    module = nn.Linear(256, 256)
    module.weight.data.add_(0.02)
    change = change_of(module, "lokr", filled=False, full_matrix=True, init_norm=1e-2)
    noise = change["lokr_w2"].detach()
    assert torch.equal(change["lokr_w1"], torch.ones(4, 4))
    assert noise.mean() == pytest.approx(1e-2 * module.weight.mean().item(), rel=0.1)
    assert noise.std() == pytest.approx(1e-2 * module.weight.std().item(), rel=0.1)


@pytest.mark.parametrize("case", CASES)
def test_strength_scales_the_change(case, tiny_model):
    """At half strength a layer's output lies half way between base and trained, for every form."""
    family, adapter = fresh("flux", tiny_model("flux"), **CASES[case])
    moved(adapter)
    name, change = next(iter(adapter.changes.items()))
    layer = family.denoiser.get_submodule(name)
    x = torch.randn(3, change.layer.shape[1])
    with torch.no_grad():
        with adapter.base_scope():
            base = layer(x)
        whole = layer(x)
        with adapter.at_strength(0.5):
            half = layer(x)
    torch.testing.assert_close(half, (base + whole) / 2, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_every_form_learns(case, tiny_model):
    """Ten steps on one batch bring the model nearer to a target that it had not aimed at."""
    family, adapter = fresh("flux", tiny_model("flux"), **CASES[case])
    noisy, time, condition = random_latents(family), some_times(family), told(text_of(family))
    target = random_latents(family, seed=7)
    optimizer = torch.optim.AdamW(adapter.groups(), lr=2e-2)

    def loss() -> torch.Tensor:
        return (family.forward(noisy, time, condition) - target).square().mean()

    before = loss().item()
    for step in range(10):
        adapter.prepare(step)
        loss().backward()
        optimizer.step()
        optimizer.zero_grad()
    family.denoiser.eval()  # DyLoRA acts with all its ranks then
    assert loss().item() < before - 1e-3


@pytest.mark.parametrize("case", CASES)
def test_a_neutral_batch_has_gradients_of_zero(case, tiny_model):
    """At strength 0, as a slider's neutral samples have it, there is a loss and nothing to learn;
    off, there is not even a gradient."""
    family, adapter = fresh("flux", tiny_model("flux"), **CASES[case])
    moved(adapter)
    family.denoiser.train()
    noisy, time, condition = random_latents(family), some_times(family), told(text_of(family))
    with adapter.at_strength(0.0):
        out = family.forward(noisy, time, condition)
        out.square().mean().backward()
    assert not any(p.grad.any() for p in adapter.parameters().values() if p.grad is not None)
    with adapter.base_scope():
        base = family.forward(noisy, time, condition)
    assert not base.requires_grad
    assert torch.equal(out, base)


@pytest.mark.parametrize("case", CASES)
def test_a_step_reads_no_value(case, tiny_model):
    """Neither forward nor backward waits for the device, limits of rotations included."""
    family, adapter = fresh("flux", tiny_model("flux"), **CASES[case])
    moved(adapter)
    noisy, time, condition = random_latents(family), some_times(family), told(text_of(family))
    family.forward(noisy, time, condition)
    with Reads() as reads:
        adapter.prepare(1)
        family.forward(noisy, time, condition).square().mean().backward()
    assert reads.count == 0


def test_boft_says_which_layer_it_cannot_divide(tiny_model):
    """192 outputs are no power of two of even blocks of at most 4: the layer is named."""
    with pytest.raises(ConfigError, match="192 outputs of transformer_blocks") as caught:
        fresh("flux", tiny_model("flux"), **of("boft"), preset="blocks")
    assert caught.value.finding.code == "LOR012"


def test_same_seed_same_start(tiny_model):
    """Initial values follow the run's seed, and the global generator is left alone."""

    def start(seed: int) -> torch.Tensor:
        from tests.support.families import tiny_config
        from trainer.adapters.build import build_trainable

        family = tiny_family("flux", tiny_model("flux"), "denoiser")
        adapter = {"kind": "lycoris", "lycoris": {"algo": "loha"}}
        config = tiny_config("flux", tiny_model("flux"), adapter=adapter, job={"seed": seed})
        state = torch.random.get_rng_state()
        made = build_trainable(config, family, torch.float32)
        assert torch.equal(state, torch.random.get_rng_state())
        return next(iter(made.state_dict().values())).clone()

    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))

"""LyCORIS: every algorithm begins as the base model, leaves it alone, and is saved so that the
LyCORIS library makes the same of the file."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.support.adapters import CAPTIONS, output, trained
from tests.support.families import (
    diffusers_pipeline,
    random_latents,
    some_times,
    tiny_family,
    told,
)
from tests.support.lycoris import BOTH, CASES, PLAIN, fresh, moved, of, wide
from trainer.adapters.lycoris import library
from trainer.adapters.lycoris.change import DORA
from trainer.adapters.lycoris.reopen import verify_file
from trainer.errors import DataError

BY_SETTINGS = ("ia3",)  # the library cannot tell them from the tensors


@pytest.mark.parametrize(("kind", "case"), BOTH)
def test_starts_as_the_base_model_and_leaves_it_alone(kind, case, tiny_model):
    """No effect before the first step; off, or at strength 0, the base model to the bit, with
    DoRA and row factors too; the frozen weights keep every bit."""
    family = tiny_family(kind, tiny_model(kind), "text", "denoiser")
    weights = {k: v.clone() for k, v in family.denoiser.state_dict().items()}
    before = output(family)
    family, adapter = fresh(kind, tiny_model(kind), **wide(kind, case))
    bound = 2e-6 if "dora" in case else 0.0
    assert (output(family) - before).abs().max() <= bound
    moved(adapter)
    assert (output(family) - before).abs().max() > 1e-3
    with adapter.base_scope():
        assert torch.equal(output(family), before)
    with adapter.at_strength(0.0):
        assert torch.equal(output(family), before)
    after = family.denoiser.state_dict()
    assert after.keys() == weights.keys()
    assert all(torch.equal(v, weights[k]) for k, v in after.items())


@pytest.mark.parametrize(("kind", "case"), BOTH)
def test_the_library_makes_the_same_of_the_file(kind, case, tiny_model, tmp_path):
    """On a fresh model, by the library's reader or, where it has none, its settings."""
    family, adapter = fresh(kind, tiny_model(kind), **wide(kind, case))
    moved(adapter)
    expected = output(family)
    (saved,) = adapter.save(tmp_path, step=5)
    assert (saved.layout, saved.verified, saved.findings) == ("lycoris", True, [])
    assert torch.equal(output(family), expected)
    denoiser = getattr(diffusers_pipeline(kind, tiny_model(kind)), family.facts.denoiser_slot)
    tensors = load_file(saved.path)
    assert all(name.startswith("lycoris_") for name in tensors)
    small = kind == "sd1x" and case == "lokr"  # its reader guesses another factor for 32 x 64
    if case in BY_SETTINGS or small:
        with safe_open(saved.path, "pt") as file:
            settings = json.loads(file.metadata()["lycoris_config"])
        library.from_settings(denoiser, tensors, settings)
    else:
        from lycoris import create_lycoris_from_weights

        network, _ = create_lycoris_from_weights(1.0, str(saved.path), denoiser)
        network.apply_to()
    family.modules["denoiser"] = denoiser
    torch.testing.assert_close(output(family), expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("case", [c for c in CASES if "rs" not in c])
def test_the_header_makes_the_same_tensors(case, tiny_model, tmp_path):
    """`create_lycoris` with the settings of the header has the names and shapes of the file."""
    family, adapter = fresh("flux", tiny_model("flux"), **CASES[case])
    (saved,) = adapter.save(tmp_path, step=0)
    with safe_open(saved.path, "pt") as file:
        settings = json.loads(file.metadata()["lycoris_config"])
    preset = settings.pop("apply_preset")
    with library.quiet() as lycoris:
        lycoris.LycorisNetwork.apply_preset(preset)
        network = lycoris.create_lycoris(family.denoiser, **settings)
    made = {
        f"{layer.lora_name}.{name}": tensor.shape
        for layer in network.loras
        for name, tensor in layer.state_dict().items()
    }
    assert made == {name: tensor.shape for name, tensor in load_file(saved.path).items()}


@pytest.mark.parametrize("case", CASES)
def test_a_file_is_a_start(case, tiny_model, tmp_path):
    """`adapter.init_from` begins with the effect of the file, whatever alpha it was made with."""
    family, adapter = fresh("flux", tiny_model("flux"), **CASES[case])
    moved(adapter)
    expected = output(family)
    path = adapter.save(tmp_path, step=5)[0].path
    again = CASES[case] | {"init_from": str(path), "alpha": 6.0}
    other, _ = fresh("flux", tiny_model("flux"), **again)
    torch.testing.assert_close(output(other), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("algo", ["lora", "dylora"])
@pytest.mark.parametrize("name", ["pytorch_lora_weights", "flux-comfyui"])
def test_a_plain_lora_is_a_start_too(algo, name, tiny_model, tmp_path):
    """A LoRA of any layout begins a LyCORIS LoRA, and the other way round."""
    family, lora = trained("flux", tiny_model("flux"), targets=["to_q", "to_k"], alpha=2.0)
    expected = output(family)
    lora.save(tmp_path, step=5)
    start = {"targets": ["to_q", "to_k"], "init_from": str(tmp_path / f"{name}.safetensors")}
    family, adapter = fresh("flux", tiny_model("flux"), **of(algo), **start)
    torch.testing.assert_close(output(family), expected, atol=1e-5, rtol=1e-4)
    path = adapter.save(tmp_path, step=5)[0].path
    back = {"targets": ["to_q", "to_k"], "init_from": str(path), "kind": "lora", "rank": 4}
    family, _ = fresh("flux", tiny_model("flux"), **back)
    torch.testing.assert_close(output(family), expected, atol=1e-5, rtol=1e-4)


def test_another_form_is_no_start(tiny_model, tmp_path):
    """A file of another algorithm, or of rotations under another limit, is refused by name."""
    _, adapter = fresh("flux", tiny_model("flux"), **of("diag-oft"))
    path = adapter.save(tmp_path, step=0)[0].path
    for wrong in (of("loha"), of("diag-oft", constraint=0.5)):
        with pytest.raises(DataError) as caught:
            fresh("flux", tiny_model("flux"), **wrong, init_from=str(path))
        assert caught.value.finding.code == "LOR004"
    with pytest.raises(DataError, match="oft_blocks"):
        fresh("flux", tiny_model("flux"), kind="lora", init_from=str(path))


@pytest.mark.parametrize(("kind", "case"), BOTH)
def test_checkpointing_changes_no_gradient(kind, case, tiny_model):
    """Forward a second time in backward gives the same gradients, for DyLoRA at the same rank."""

    def gradients(checkpointing: bool) -> list[torch.Tensor | None]:
        family, adapter = fresh(kind, tiny_model(kind), **CASES[case])
        moved(adapter)
        adapter.prepare(3)
        if checkpointing:
            family.enable_checkpointing()
        text = family.collate_text(family.encode_text(CAPTIONS))
        family.denoiser.train()
        out = family.forward(random_latents(family), some_times(family), told(text))
        out.square().mean().backward()
        return [p.grad for p in adapter.parameters().values()]

    plain, again = gradients(False), gradients(True)
    assert sum(g is not None and bool(g.any()) for g in plain) > len(plain) / 8
    for one, other in zip(plain, again, strict=True):
        assert (one is None) is (other is None)
        assert one is None or torch.equal(one, other)


@pytest.mark.parametrize("spoil", ["nan", "value", "missing"])
def test_a_damaged_file_is_found_out(spoil, tiny_model, tmp_path):
    """Not finite, changed or missing tensors do not verify."""
    _, adapter = fresh("flux", tiny_model("flux"), **of("loha"))
    moved(adapter)
    path = adapter.save(tmp_path, step=5)[0].path
    tensors = load_file(path)
    name = next(n for n in tensors if n.endswith("hada_w1_a"))
    if spoil == "missing":
        del tensors[name]
    else:
        tensors[name][0, 0] = float("nan") if spoil == "nan" else 1e3
    save_file(tensors, path)
    (problem,) = verify_file(path, adapter.layers())
    assert problem.code == "LOR001"


def test_a_file_that_acts_otherwise_is_put_aside(tiny_model, tmp_path, monkeypatch):
    """The tensors may be right while the alpha beside them makes something else of them."""
    from trainer.adapters.lycoris import algorithms, files

    _, adapter = fresh("flux", tiny_model("flux"), **of("loha"))
    moved(adapter, 0.5)
    wrong = algorithms.ALGORITHMS["lora"]  # whose rank is read elsewhere
    monkeypatch.setitem(files.ALGORITHMS, "loha", wrong)
    (saved,) = adapter.save(tmp_path, step=5)
    assert not saved.verified
    assert [f.code for f in saved.findings] == ["LOR006"]
    assert saved.path.name == "bad-flux-lycoris.safetensors"


@pytest.mark.parametrize("case", ["lokr", "full", "ia3", "lora+dora", "dylora"])
def test_saving_leaves_the_model_as_it_was(case, tiny_model, tmp_path):
    """The library replaces forwards and even weights; afterwards nothing of it is left."""
    family, adapter = fresh("sd1x", tiny_model("sd1x"), **wide("sd1x", case))
    moved(adapter)
    before = output(family)
    held = {n: (id(m), id(getattr(m, "weight", None))) for n, m in family.denoiser.named_modules()}
    state = torch.random.get_rng_state()
    adapter.save(tmp_path, step=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    again = {n: (id(m), id(getattr(m, "weight", None))) for n, m in family.denoiser.named_modules()}
    assert again == held
    assert not any("forward" in vars(m) for m in family.denoiser.modules())
    assert torch.equal(output(family), before)


def test_averages_are_what_is_saved(tiny_model, tmp_path):
    """`tensors` goes into the file and is what the library is compared with; live values stay."""
    family, adapter = fresh("flux", tiny_model("flux"), **of("lokr"))
    moved(adapter)
    live = output(family)
    average = {name: value * 0.5 for name, value in adapter.state_dict().items()}
    (saved,) = adapter.save(tmp_path, step=5, tensors=average, suffix="-ema")
    assert saved.verified
    assert saved.path.name == "flux-lycoris-ema.safetensors"
    assert torch.equal(output(family), live)
    adapter.load_state_dict(average)
    held = adapter.layers()
    assert all(
        torch.equal(tensor, held[module][name])
        for module, tensors in adapter.layers(average).items()
        for name, tensor in tensors.items()
    )


@pytest.mark.parametrize("case", [*PLAIN, "lora+dora"])
def test_bf16_weights_are_saved_as_they_are(case, tiny_model, tmp_path):
    """Where the optimiser keeps bf16 weights, the file holds and verifies them."""
    _, adapter = fresh("flux", tiny_model("flux"), dtype=torch.bfloat16, **CASES[case])
    moved(adapter)
    (saved,) = adapter.save(tmp_path, step=5)
    assert saved.verified, saved.findings
    kept = {n.rpartition(".")[2]: t.dtype for n, t in load_file(saved.path).items()}
    assert {d for n, d in kept.items() if n not in ("alpha", "on_input")} == {torch.bfloat16}
    assert DORA not in kept or kept[DORA] is torch.bfloat16


@pytest.mark.parametrize("algo", ["loha", "ia3"])
def test_an_adapter_that_learned_nothing_is_told(algo, tiny_model, tmp_path):
    """After training, an adapter that is still the base model is a warning, and saved all the same;
    before training it is as it should be."""
    _, adapter = fresh("flux", tiny_model("flux"), **of(algo))
    (before,) = adapter.save(tmp_path, step=0)
    (after,) = adapter.save(tmp_path, step=5)
    assert before.findings == []
    assert [(f.code, f.level) for f in after.findings] == [("LOR005", "warn")]
    assert after.verified

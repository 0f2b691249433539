"""Components load from every kind of place, whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.families import KINDS, random_latents, some_times, tiny_family, told
from tests.support.original_layout import write_single_file
from trainer import catalog
from trainer.errors import ConfigError
from trainer.models.sd1x import SD1X
from trainer.models.sd2x import SD2X


def slot_of(kind: str) -> str:
    return catalog.family_facts(kind).denoiser_slot


def weights_of(folder: Path) -> Path:
    return next(folder.glob("*.safetensors"))


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


@pytest.fixture
def copy(tmp_path, tiny_model):
    """A private copy of a tiny model, to be damaged."""
    return lambda kind: shutil.copytree(tiny_model(kind), tmp_path / f"{kind}-copy")


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_asked_component_is_read(kind, copy):
    """A run with warm caches needs no text encoder on disk at all."""
    folder = copy(kind)
    for name in ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "vae"):
        shutil.rmtree(folder / name, ignore_errors=True)
    family = tiny_family(kind, folder, "denoiser")
    assert set(family.modules) == {"denoiser"}
    assert not any(p.requires_grad for p in family.denoiser.parameters())
    assert not family.denoiser.training
    family.unload("denoiser")
    assert not family.modules


@pytest.mark.parametrize("kind", KINDS)
def test_denoiser_from_a_single_file(kind, tiny_model, tmp_path):
    """A component given as one .safetensors file loads with the folder's configuration."""
    folder = tiny_model(kind)
    single = tmp_path / "model.safetensors"
    shutil.copy(weights_of(folder / slot_of(kind)), single)
    changes = {"components": {"denoiser": {"path": str(single)}}}
    family = tiny_family(kind, folder, "denoiser", model=changes)
    assert same(family.denoiser, tiny_family(kind, folder, "denoiser").denoiser)


@pytest.mark.parametrize(("kind", "cls"), [("sd1x", SD1X), ("sd2x", SD2X)])
def test_a_merged_checkpoint_brings_all_its_parts(kind, cls, tiny_model, tmp_path, monkeypatch):
    """model.path as one original-layout file: its own UNet, autoencoder and CLIP are used."""
    folder = tiny_model(kind)
    single = write_single_file(folder, tmp_path / "merge.safetensors")
    bare = shutil.copytree(
        folder, tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors")
    )
    name = cls.facts.default_flavour
    flavour = dataclasses.replace(cls.facts.flavours[name], repo=str(bare))
    facts = dataclasses.replace(cls.facts, flavours={name: flavour})
    monkeypatch.setattr(cls, "facts", facts)
    family = tiny_family(kind, single, "text", "vae", "denoiser")
    whole = tiny_family(kind, folder, "text", "vae", "denoiser")
    for name in ("denoiser", "vae", "text_encoder"):
        assert same(family.modules[name], whole.modules[name]), name
    assert family.scheduler_config == whole.scheduler_config
    before = family.identity("text")
    tensors = load_file(single)
    next(v for k, v in tensors.items() if k.startswith("cond_stage_model")).add_(1.0)
    save_file(tensors, single)
    assert tiny_family(kind, single).identity("text") != before


def test_component_path_subfolder_and_precision_are_honoured(tiny_model, tmp_path):
    """model.components: another folder, another sub-folder, another precision."""
    folder = tiny_model("flux")
    shutil.copytree(folder / "vae", tmp_path / "parts" / "better-vae")
    shutil.copytree(folder / "transformer", tmp_path / "own")
    components = {
        "vae": {"path": str(tmp_path / "parts"), "subfolder": "better-vae", "dtype": "bf16"},
        "denoiser": {"path": str(tmp_path / "own"), "dtype": "bf16"},
    }
    family = tiny_family("flux", folder, "vae", "denoiser", model={"components": components})
    assert family.modules["vae"].dtype is torch.bfloat16
    assert family.denoiser.dtype is torch.bfloat16
    text = {
        "prompt_embeds": torch.randn(2, 8, 32),
        "pooled_prompt_embeds": torch.randn(2, 32),
    }
    with torch.no_grad():
        out = family.forward(random_latents(family), some_times(family), told(text))
    assert out.dtype is torch.bfloat16
    assert family.identity("denoiser") != tiny_family("flux", folder).identity("denoiser")


@pytest.mark.parametrize(
    ("components", "where"),
    [
        ({"vae": {"path": "/nowhere"}}, "model.components.vae.path"),
        ({"vae": {"subfolder": "nowhere"}}, "model.path"),
    ],
)
def test_a_missing_component_names_its_key(components, where, tiny_model):
    """The finding points at the key that chose the place."""
    family = tiny_family("flux", tiny_model("flux"), model={"components": components})
    with pytest.raises(ConfigError) as caught:
        family.load("vae")
    assert caught.value.finding.code == "ENV001"
    assert caught.value.finding.where == where


def test_missing_model_is_a_finding(tmp_path):
    """A wrong path is a configuration error that names the place and the remedy."""
    with pytest.raises(ConfigError, match="ENV001"):
        tiny_family("flux", tmp_path / "nothing", "denoiser")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="sub-folder"):
        tiny_family("flux", tmp_path / "empty", "denoiser")


@pytest.mark.parametrize(
    ("family", "model"),
    [
        ("sdxl", "sd1x"),
        ("sd1x", "sdxl"),
        ("sd2x", "sd1x"),
        ("sd1x", "sd2x"),
        ("sd2x", "sdxl"),
        ("sdxl", "sd2x"),
        ("flux", "sdxl"),
        ("sdxl", "flux"),
    ],
)
def test_a_checkpoint_of_another_family_is_refused(family, model, tiny_model):
    """SD 1.x, 2.x and SDXL share a class: the configuration tells them apart."""
    with pytest.raises(ConfigError, match=r"ENV00[12]"):
        tiny_family(family, tiny_model(model), "denoiser")


@pytest.mark.parametrize(
    ("key", "value"), [("_class_name", "SD3Transformer2DModel"), ("out_channels", 16)]
)
def test_another_class_or_task_is_refused(key, value, copy):
    """A Fill or SD3 transformer where Flux is wanted is named, not tried."""
    folder = copy("flux")
    path = folder / "transformer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(ConfigError, match="ENV002"):
        tiny_family("flux", folder, "denoiser")


@pytest.mark.parametrize("which", ["denoiser", "vae", "text"])
def test_a_lacking_tensor_is_refused(which, copy):
    """No tensor is ever filled with random numbers."""
    folder = copy("sd1x")
    slot = {"denoiser": "unet", "vae": "vae", "text": "text_encoder"}[which]
    path = weights_of(folder / slot)
    tensors = load_file(path)
    gone = sorted(tensors)[3]
    del tensors[gone]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ConfigError, match="ENV003") as caught:
        tiny_family("sd1x", folder, which)
    assert gone.removeprefix("text_model.") in caught.value.finding.message


@pytest.mark.parametrize("which", ["denoiser", "vae", "text"])
@pytest.mark.parametrize("damage", ["cut", "garbage", "config", "empty"])
def test_damaged_files_are_findings(which, damage, copy):
    """Truncated weights, noise, broken JSON, no weights: a finding, never a traceback."""
    folder = copy("flux")
    slot = folder / {"denoiser": "transformer", "vae": "vae", "text": "text_encoder"}[which]
    path = weights_of(slot)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "garbage":
        path.write_bytes(b"not weights")
    elif damage == "config":
        (slot / "config.json").write_text("{broken")
    else:
        path.unlink()
    with pytest.raises(ConfigError, match="ENV001"):
        tiny_family("flux", folder, which)


def test_a_missing_schedule_is_a_finding(copy):
    """The checkpoint's own scheduler is needed; without it the noise would be a guess."""
    folder = copy("sd1x")
    shutil.rmtree(folder / "scheduler")
    with pytest.raises(ConfigError, match="scheduler_config"):
        _ = tiny_family("sd1x", folder).alphas_cumprod


@pytest.mark.parametrize(("variant", "loaded"), [(None, 0.0), ("fp16", 1.0), ("bf16", 0.0)])
def test_hub_download_takes_one_copy_of_the_weights(
    variant, loaded, tiny_model, tmp_path, monkeypatch
):
    """Of many copies in a repository only the wanted one comes; an absent variant falls back."""
    hub = shutil.copytree(tiny_model("sd1x"), tmp_path / "hub")
    plain = weights_of(hub / "unet")
    tensors = load_file(plain)
    save_file(
        {k: torch.ones_like(v) for k, v in tensors.items()},
        plain.with_name("diffusion_pytorch_model.fp16.safetensors"),
        metadata={"format": "pt"},
    )
    save_file(
        {k: torch.zeros_like(v) for k, v in tensors.items()}, plain, metadata={"format": "pt"}
    )
    for name in ("diffusion_pytorch_model.non_ema.safetensors", "diffusion_pytorch_model.bin"):
        shutil.copy(plain, hub / "unet" / name)
    local = tmp_path / "snapshot"

    def fake(repository, *, revision, allow_patterns):
        assert (repository, revision) == ("someone/model", "main")
        for path in hub.rglob("*"):
            name = path.relative_to(hub).as_posix()
            if path.is_file() and any(fnmatch(name, p) for p in allow_patterns):
                (local / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, local / name)
        return str(local)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fake)
    changes = {"variant": variant, "revision": "main"}
    family = tiny_family("sd1x", Path("someone/model"), "denoiser", model=changes)
    assert all((p == loaded).all() for p in family.denoiser.parameters())
    assert len(list((local / "unet").glob("*.safetensors"))) == 1
    assert not (local / "vae").exists()

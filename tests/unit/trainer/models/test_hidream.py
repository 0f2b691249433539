"""What only HiDream has: patches in training, a borrowed Llama, pictures of any size."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.families import diffusers_pipeline, random_latents, tiny_family, told
from tests.support.kinds.hidream import build as tiny_hidream
from tests.support.kinds.hidream import call
from trainer.config.resolve import resolve
from trainer.errors import ConfigError
from trainer.models.request import ImageRequest

CAPTIONS = ["a red apple", "a blue car in the rain"]


def request(guidance: float, size: tuple[int, int] = (32, 32), output: str = "latent") -> Any:
    return ImageRequest(
        width=size[0],
        height=size[1],
        steps=2,
        guidance=guidance,
        generator=torch.Generator().manual_seed(4),
        output_type=output,
    )


def draw(family: Any, text: Any, negative: Any, asked: ImageRequest) -> Any:
    pipe = family.pipeline()
    pipe.set_progress_bar_config(disable=True)
    with torch.no_grad():
        return pipe(**family.pipeline_kwargs(text, negative, asked)).images


def random_text(family: Any, count: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return family.probe_entry(lambda shape: torch.randn(count, *shape, generator=generator))


def latents(height: int, width: int) -> torch.Tensor:
    return torch.randn(1, 4, height, width, generator=torch.Generator().manual_seed(height))


# --- shapes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 8), (8, 24), (24, 8)])
def test_training_and_sampling_answer_the_same(size, tiny_model):
    """In training the class gives patches, and more of them than there are for a picture that is
    not square; put together they are its answer in evaluation, which goes another way."""
    family = tiny_family("hidream", tiny_model("hidream"), "denoiser")
    condition, time = told(random_text(family), 1), torch.tensor([0.4])
    with torch.no_grad():
        family.denoiser.eval()
        sampled = family.forward(latents(*size), time, condition)
        family.denoiser.train()
        trained = family.forward(latents(*size), time, condition)
    assert trained.shape == (1, 4, *size)
    torch.testing.assert_close(trained, sampled, atol=1e-5, rtol=1e-4)


def test_a_bucket_beyond_the_canvas_leaves_no_trace(tiny_model):
    """32 x 40 latents are more patches than 32 x 32; those after it are filled up as before."""
    family = tiny_family("hidream", tiny_model("hidream"), "denoiser")
    family.denoiser.train()
    condition, time = told(random_text(family), 1), torch.tensor([0.4])
    with torch.no_grad():
        before = family.forward(latents(8, 16), time, condition)
        assert family.forward(latents(32, 40), time, condition).shape == (1, 4, 32, 40)
        assert torch.equal(family.forward(latents(8, 16), time, condition), before)


@pytest.mark.parametrize("size", [(36, 20), (20, 44), (64, 96)])
def test_the_picture_has_the_asked_size(size, tiny_model):
    """The pipeline by itself would draw about a megapixel."""
    family = tiny_family("hidream", tiny_model("hidream"), "text", "vae", "denoiser")
    entry = family.encode_text(CAPTIONS[:1])[0]
    assert draw(family, entry, None, request(1.0, size, "pil"))[0].size == size


def test_sizes_survive_the_pipelines_rounding(tiny_model, monkeypatch):
    """No size that a bucket can have becomes a patch smaller, with the real factor of 8."""
    from diffusers import HiDreamImagePipeline

    family = tiny_family("hidream", tiny_model("hidream"), "denoiser")
    pipe = family.pipeline()  # without an autoencoder it takes 8
    seen: list[tuple[int, int]] = []

    def rounded(self: Any, *, width: int, height: int) -> None:
        scale = ((self.default_sample_size * 8) ** 2 / (width * height)) ** 0.5
        seen.append((int(width * scale // 16 * 16), int(height * scale // 16 * 16)))

    monkeypatch.setattr(HiDreamImagePipeline, "__call__", rounded)
    asked = [(w, h) for w in range(256, 2049, 64) for h in range(256, 2049, 64)]
    for width, height in asked:
        pipe(width=width, height=height)
    assert seen == asked


def test_sampling_leaves_the_mode_of_the_denoiser(tiny_model):
    """A pipeline around a model in training draws, and hands it back as it was."""
    family = tiny_family("hidream", tiny_model("hidream"), "text", "denoiser")
    entry = family.encode_text(CAPTIONS[:1])[0]
    family.denoiser.train()
    assert draw(family, entry, None, request(1.0)).isfinite().all()
    assert family.denoiser.training


# --- text ------------------------------------------------------------------------------------


def test_only_layers_that_a_block_asks_for_are_kept(tmp_path):
    """Both blocks hear the second layer: one is cached, and the call equals that with all."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tiny_hidream(llama_layers=(1, 1)).save_pretrained(tmp_path)
    pipe = diffusers_pipeline("hidream", tmp_path)
    family = tiny_family("hidream", tmp_path, "text", "denoiser")
    entries = family.encode_text(CAPTIONS)
    assert entries[0]["llama"].shape == (1, 32, 16)
    t5, _, states, _, pooled, _ = pipe.encode_prompt(
        CAPTIONS, do_classifier_free_guidance=False, max_sequence_length=32
    )
    assert len(states) == 2
    noisy, time = random_latents(family), torch.tensor([0.3, 0.6])
    whole = {"t5": t5, "llama": states.transpose(0, 1), "pooled": pooled}
    with torch.no_grad():
        ours = family.forward(noisy, time, told(family.collate_text(entries)))
        theirs = call(family.denoiser, noisy, time, told(whole))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_other_layers_make_other_text(tiny_model, tmp_path):
    """Entries without the layers that a denoiser asks for are not taken for its own."""
    copy = shutil.copytree(tiny_model("hidream"), tmp_path / "copy")
    path = copy / "transformer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"llama_layers": [1, 1]}))
    first, second = tiny_family("hidream", tiny_model("hidream")), tiny_family("hidream", copy)
    assert first.identity("text") != second.identity("text")
    assert first.identity("vae") == second.identity("vae")


def test_guidance_is_the_pipelines_own(tiny_model):
    """From cached text the picture is the one that the whole pipeline draws from prompts."""
    from diffusers import HiDreamImagePipeline

    family = tiny_family("hidream", tiny_model("hidream"), "text", "vae", "denoiser")
    text, negative = family.encode_text(CAPTIONS)
    family.unload("text")
    ours = draw(family, text, negative, request(4.0))
    pipe = HiDreamImagePipeline.from_pretrained(tiny_model("hidream"))
    pipe.default_sample_size = 16  # its area is then the one that is asked for
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        CAPTIONS[0],
        negative_prompt=CAPTIONS[1],
        width=32,
        height=32,
        num_inference_steps=2,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(4),
        max_sequence_length=32,
        output_type="latent",
    ).images
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    plain = draw(family, text, None, request(4.0))
    assert (ours - plain).abs().max() > 1e-4


@pytest.fixture
def without_llama(tiny_model, tmp_path) -> tuple[Path, Path]:
    """A checkpoint as published, and Llama in a folder of its own."""
    folder = shutil.copytree(tiny_model("hidream"), tmp_path / "published")
    llama = tmp_path / "llama"
    shutil.move(folder / "text_encoder_4", llama)
    shutil.copytree(folder / "tokenizer_4", llama, dirs_exist_ok=True)
    shutil.rmtree(folder / "tokenizer_4")
    return folder, llama


def test_llama_comes_from_where_it_is_named(without_llama, tiny_model):
    """Tokenizer and weights lie in one folder, as Meta publishes them."""
    folder, llama = without_llama
    model = {"options": {"hidream": {"llama": str(llama)}}}
    family = tiny_family("hidream", folder, "text", model=model)
    whole = tiny_family("hidream", tiny_model("hidream"), "text")
    ours, theirs = family.encode_text(CAPTIONS), whole.encode_text(CAPTIONS)
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a["llama"], b["llama"])
    before = family.identity("text")
    weights = next(llama.glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    again = tiny_family("hidream", folder, model=model)
    assert again.identity("text") != before


def test_llama_is_borrowed_when_the_checkpoint_has_none(without_llama, monkeypatch):
    """The family knows a repository for it; what is not to be had names the key that helps."""
    folder, llama = without_llama
    asked: list[str] = []

    def download(repository: str, *_: Any, **__: Any) -> str:
        asked.append(repository)
        return str(llama)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert len(tiny_family("hidream", folder, "text").encode_text(CAPTIONS[:1])) == 1
    assert set(asked) == {"terminusresearch/HiDream-I1-Llama-3.1-8B-Instruct"}
    monkeypatch.undo()
    with pytest.raises(ConfigError) as caught:
        tiny_family("hidream", folder, "text")
    assert caught.value.finding.code == "ENV001"
    assert caught.value.finding.where == "model.options.hidream.llama"


def test_a_place_that_does_not_exist_is_linted(tmp_path):
    """As with every key that names weights."""
    text = 'model.family = "hidream"\nmodel.options.hidream.llama = "./nowhere"\ntrain.steps = 1\n'
    found = resolve(text, base_dir=tmp_path, env={}).findings
    assert [f.code for f in found if "nowhere" in f.message] == ["CFG022"]


# --- checkpoints -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["UniPCMultistepScheduler", "FlowMatchLCMScheduler"])
def test_the_sampler_is_the_checkpoints(name, tiny_model, tmp_path):
    """Full samples with UniPC, dev and fast with LCM steps."""
    copy = shutil.copytree(tiny_model("hidream"), tmp_path / "copy")
    path = copy / "scheduler" / "scheduler_config.json"
    flow = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}
    path.write_text(json.dumps(json.loads(path.read_text()) | flow | {"_class_name": name}))
    family = tiny_family("hidream", copy, "text", "denoiser")
    assert type(family.pipeline().scheduler).__name__ == name
    entry = family.encode_text(CAPTIONS[:1])[0]
    assert draw(family, entry, None, request(1.0)).isfinite().all()


def test_a_model_that_trains_no_expert_is_refused(tmp_path):
    """`force_inference_output` would run the experts without gradients."""
    tiny_hidream(force_inference_output=True).transformer.save_pretrained(tmp_path / "transformer")
    with pytest.raises(ConfigError, match="ENV002"):
        tiny_family("hidream", tmp_path, "denoiser")


@pytest.mark.parametrize(
    ("flavour", "steps", "guidance", "shift"),
    [("full", 50, 5.0, 3.0), ("dev", 28, 0.0, 6.0), ("fast", 16, 0.0, 3.0)],
)
def test_flavours(flavour, steps, guidance, shift, tmp_path):
    """The distilled ones sample in fewer steps and without guidance."""
    text = f'[model]\nfamily = "hidream"\nflavour = "{flavour}"\n[train]\nsteps = 1\n'
    config = resolve(text, base_dir=tmp_path, env={}).config
    assert config is not None
    assert config.model.path == f"HiDream-ai/HiDream-I1-{flavour.title()}"
    drawn = 5.0 if config.validation.guidance is None else config.validation.guidance
    assert (config.validation.steps, drawn, config.noise.shift) == (steps, guidance, shift)

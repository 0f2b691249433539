"""What only OmniGen has: a prompt among the tokens, and a sampler of our own."""

from __future__ import annotations

import inspect
import json
import shutil
from functools import partial
from typing import Any

import pytest
import torch
from diffusers.pipelines.omnigen import processor_omnigen

from tests.support.families import diffusers_pipeline, some_times, tiny_family, told
from tests.support.kinds import omnigen as kind
from tests.support.tiny import save
from tests.unit.trainer.models.test_forward import Reads
from trainer.config.resolve import resolve
from trainer.models.condition import Condition
from trainer.models.parts.omnigen_rope import KnownLengthRope
from trainer.models.parts.omnigen_tokens import attention, left_padded, positions, token_ids
from trainer.models.request import ImageRequest

SHORT, LONG = "a red apple", "the quick brown fox jumps over the lazy dog in the rain"


def latents(count: int, height: int = 16, width: int = 8) -> torch.Tensor:
    shape = (count, 4, height, width)
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


def theirs(prompts: list[str], image_tokens: int) -> tuple[torch.Tensor, ...]:
    """Ids, positions and mask as diffusers' own processor and collator make them."""
    tokenizer = kind.llama2_tokenizer()
    processor = processor_omnigen.OmniGenMultiModalProcessor(tokenizer)
    told = [processor.process_multi_modal_prompt(prompt, None) for prompt in prompts]
    side = [16, 16 * image_tokens]
    found = processor_omnigen.OmniGenCollator().process_mllm_input(told, [side] * len(prompts))
    return found[0], found[1], found[2]


def test_tokens_mask_and_positions_are_the_processors():
    """Filled up on the left; who sees whom to the last pair; each row counted from its start."""
    ids, places, mask = theirs([SHORT, LONG, ""], 6)
    tokenizer = kind.llama2_tokenizer()
    ours, real = left_padded([token_ids(tokenizer, text) for text in (SHORT, LONG, "")])
    assert torch.equal(ours, ids)
    assert not real.all()
    assert torch.equal(attention(real, 6)[:, 0].float(), mask)
    counted = positions(mask.shape[-1], torch.device("cpu"))[0]
    for row, row_places in zip(real, places, strict=True):
        start = int((~row).sum())
        assert torch.equal(counted[start:] - start, row_places[start:])


def test_a_batch_is_each_prompt_alone(tiny_model):
    """A short prompt beside a long one is read as by the untouched class without company."""
    from diffusers import OmniGenTransformer2DModel

    path = tiny_model("omnigen")
    family = tiny_family("omnigen", path, "text", "denoiser")
    bare = OmniGenTransformer2DModel.from_pretrained(path, subfolder="transformer").eval()
    text = family.collate_text(family.encode_text([SHORT, LONG]))
    noisy, sigma = latents(2), some_times(family)
    with torch.no_grad():
        together = family.forward(noisy, sigma, told(text))
        for number, prompt in enumerate((SHORT, LONG)):
            ids, places, mask = theirs([prompt], 8 * 4)
            alone = bare(
                hidden_states=noisy[number : number + 1],
                timestep=1 - sigma[number : number + 1],
                input_ids=ids,
                input_img_latents=[],
                input_image_sizes={},
                attention_mask=mask,
                position_ids=places,
            ).sample
            torch.testing.assert_close(together[number], -alone[0], atol=1e-5, rtol=1e-4)


def test_the_filling_is_not_read(tiny_model):
    """Other ids where a short prompt is filled up change nothing."""
    family = tiny_family("omnigen", tiny_model("omnigen"), "text", "denoiser")
    text = dict(family.collate_text(family.encode_text([SHORT, LONG])))
    noisy, sigma = latents(2), some_times(family)
    with torch.no_grad():
        before = family.forward(noisy, sigma, told(text))
        other = torch.where(text["mask"], text["input_ids"], 99)
        after = family.forward(noisy, sigma, told(text | {"input_ids": other}))
        read = text["input_ids"].clone()
        read[0, -1] = 99
        changed = family.forward(noisy, sigma, told(text | {"input_ids": read}))
    torch.testing.assert_close(before, after)
    assert (before - changed)[0].abs().max() > 1e-5


def test_a_new_length_reads_nothing_from_the_device(tiny_model):
    """The class compares positions on the device; captions of any length come along."""
    family = tiny_family("omnigen", tiny_model("omnigen"), "text", "denoiser")
    entries = family.encode_text([SHORT, LONG, ""])
    batches = [family.collate_text([entry]) for entry in entries]
    sizes, sigma = torch.tensor([[32, 32, 0, 0, 32, 32]]), torch.tensor([0.5])
    conditions = [Condition(text, sizes) for text in batches]
    family.forward(latents(1), sigma, conditions[0])
    with Reads() as reads:
        for condition in conditions:
            family.forward(latents(1), sigma, condition)
    assert reads.count == 0


@pytest.mark.parametrize("length", [5, 64, 65, 200])
def test_rotations_are_the_class_own(length):
    """With the short factors up to the trained length and the long ones beyond."""
    factors = {"short_factor": [1.0, 1.5], "long_factor": [2.0, 3.0]}
    sizes = {"original_max_position_embeddings": 64, "max_position_embeddings": 256}
    rope = kind.transformer(rope_scaling=factors, **sizes).rope
    known = KnownLengthRope(rope)
    states, places = torch.randn(1, length, 16), torch.arange(length)[None]
    known(states[:, :1], places[:, :1])  # a shorter one before leaves no trace
    for ours, own in zip(known(states, places), rope(states, places), strict=True):
        assert torch.equal(ours, own)


def draw(family: Any, text: Any, negative: Any, guidance: float, output: str = "latent") -> Any:
    request = ImageRequest(
        width=32,
        height=64,
        steps=3,
        guidance=guidance,
        generator=torch.Generator().manual_seed(4),
        output_type=output,
    )
    pipe = family.pipeline()
    pipe.set_progress_bar_config(disable=True)
    return pipe(**family.pipeline_kwargs(text, negative, request)).images


@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_the_sampler_draws_what_the_pipeline_draws(guidance, tmp_path):
    """Latents and picture of diffusers' own pipeline, which has one negative prompt only. The
    prompt is the longer one: of a shorter one the pipeline misreads the negative beside it."""
    default = inspect.signature(processor_omnigen.OmniGenMultiModalProcessor.__call__)
    negative_text = default.parameters["negative_prompt"].default
    prompt = " ".join([LONG] * 50)
    path = save(partial(kind.build, levels=4), tmp_path)
    family = tiny_family("omnigen", path, "text", "vae", "denoiser")
    text, negative = family.encode_text([prompt, negative_text])
    assert len(text["input_ids"]) > len(negative["input_ids"])
    pipe = diffusers_pipeline("omnigen", path)
    pipe.set_progress_bar_config(disable=True)
    for output in ("latent", "pil"):
        expected = pipe(
            prompt,
            width=32,
            height=64,
            num_inference_steps=3,
            guidance_scale=guidance,
            generator=torch.Generator().manual_seed(4),
            output_type=output,
        ).images
        ours = draw(family, text, negative, guidance, output)
        if output == "latent":
            torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)
        else:
            assert ours[0].size == expected[0].size == (32, 64)
            difference = torch.tensor(list(ours[0].tobytes())).int()
            difference -= torch.tensor(list(expected[0].tobytes())).int()
            assert difference.abs().max() <= 1


def test_a_stop_is_heard_within_a_picture(tiny_model):
    """The sampler calls back after each step, and takes the latents that it is given back."""
    family = tiny_family("omnigen", tiny_model("omnigen"), "text", "denoiser")
    text = family.encode_text([SHORT])[0]
    steps: list[int] = []

    def on_step(pipe: Any, index: int, time: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        steps.append(index)
        return {"latents": torch.zeros_like(kwargs["latents"])}

    request = ImageRequest(
        width=32, height=32, steps=3, guidance=1.0, generator=torch.Generator().manual_seed(0)
    )
    kwargs = family.pipeline_kwargs(text, None, request) | {"output_type": "latent"}
    images = family.pipeline()(**kwargs, callback_on_step_end=on_step).images
    assert steps == [0, 1, 2]
    assert not images.any()


def test_there_is_no_text_encoder(tiny_model, tmp_path):
    """A tokenizer is all that is loaded, and all that text in the cache depends on."""
    folder = shutil.copytree(tiny_model("omnigen"), tmp_path / "copy")
    family = tiny_family("omnigen", folder, "text")
    assert not family.modules
    assert set(family.tokenizers) == {"tokenizer"}
    assert family.encode_text([SHORT])[0]["input_ids"].dtype is torch.int64
    before = family.identity("text")
    path = folder / "tokenizer" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_max_length": 9}))
    assert tiny_family("omnigen", folder).identity("text") != before


def test_flavour():
    """No shift: the model was trained without one."""
    config = resolve('model.family = "omnigen"\ntrain.steps = 1\n', env={}).config
    assert config is not None
    assert config.noise.shift is None
    assert config.model.path == "Shitao/OmniGen-v1-diffusers"
    assert config.validation.steps == 50

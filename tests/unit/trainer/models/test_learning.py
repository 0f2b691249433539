"""The objective means the same as diffusers' example scripts, and learning goes the right way."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.support.families import KINDS, random_latents, some_sizes, tiny_config, tiny_family
from trainer.models.base import ImageRequest
from trainer.objective.compose import build_objective
from trainer.objective.flow import velocity

CAPTION = "a red apple"


def example_step_flux(denoiser, x0, noise, sigma, text):
    """One loss as in the diffusers dreambooth script for Flux: weighting none."""
    from diffusers import FluxPipeline
    from diffusers.training_utils import compute_loss_weighting_for_sd3

    b, c, h, w = x0.shape
    s = sigma.view(-1, 1, 1, 1)
    noisy = (1.0 - s) * x0 + s * noise
    out = denoiser(
        hidden_states=FluxPipeline._pack_latents(noisy, b, c, h, w),
        timestep=sigma,
        guidance=torch.ones(b),
        pooled_projections=text["pooled_prompt_embeds"],
        encoder_hidden_states=text["prompt_embeds"],
        txt_ids=torch.zeros(text["prompt_embeds"].shape[1], 3),
        img_ids=FluxPipeline._prepare_latent_image_ids(b, h // 2, w // 2, "cpu", torch.float32),
        return_dict=False,
    )[0]
    prediction = FluxPipeline._unpack_latents(out, h * 8, w * 8, 8)
    weighting = compute_loss_weighting_for_sd3(weighting_scheme="none", sigmas=s)
    error = weighting.float() * (prediction.float() - (noise - x0).float()) ** 2
    return torch.mean(error.reshape(b, -1), 1).mean()


def example_step_sd3(denoiser, x0, noise, sigma, text):
    """One loss as in the diffusers dreambooth script for SD3: weighting none, raw output."""
    from diffusers.training_utils import compute_loss_weighting_for_sd3

    s = sigma.view(-1, 1, 1, 1)
    prediction = denoiser(
        hidden_states=(1.0 - s) * x0 + s * noise,
        timestep=sigma * 1000.0,
        encoder_hidden_states=text["prompt_embeds"],
        pooled_projections=text["pooled_prompt_embeds"],
        return_dict=False,
    )[0]
    weighting = compute_loss_weighting_for_sd3(weighting_scheme="none", sigmas=s)
    error = weighting.float() * (prediction.float() - (noise - x0).float()) ** 2
    return torch.mean(error.reshape(len(x0), -1), 1).mean()


EXAMPLES = {"flux": example_step_flux, "sd3": example_step_sd3}


def example_step_sd(denoiser, scheduler, x0, noise, time, text):
    """One loss as in the diffusers text-to-image scripts for Stable Diffusion and SDXL."""
    noisy = scheduler.add_noise(x0, noise, time)
    condition = {}
    if "pooled_prompt_embeds" in text:
        time_ids = torch.tensor([[32, 32, 0, 0, 32, 32]] * len(x0), dtype=torch.float32)
        added = {"time_ids": time_ids, "text_embeds": text["pooled_prompt_embeds"]}
        condition = {"added_cond_kwargs": added}
    if "mask" in text:
        condition = {"encoder_attention_mask": text["mask"].float()}
    prediction = denoiser(
        noisy,
        timestep=time,
        encoder_hidden_states=text["prompt_embeds"],
        return_dict=False,
        **condition,
    )[0]
    prediction = prediction[:, : x0.shape[1]]  # some predict a variance as well
    v = scheduler.config.prediction_type == "v_prediction"
    target = scheduler.get_velocity(x0, noise, time) if v else noise
    return F.mse_loss(prediction.float(), target.float(), reduction="mean")


@pytest.mark.parametrize("kind", KINDS)
def test_first_ten_losses_equal_the_example_script(kind, tiny_model):
    """Same module, batch, noise and times: ten training losses agree to 1e-5 in fp32."""
    from diffusers import DDPMScheduler

    def setting():
        family = tiny_family(kind, tiny_model(kind), "text", "denoiser")
        family.denoiser.requires_grad_(True).train()
        text = family.collate_text(family.encode_text([CAPTION] * 2))
        optimizer = torch.optim.AdamW(family.denoiser.parameters(), lr=1e-3)
        return family, text, optimizer

    ours, text, our_optimizer = setting()
    theirs, _, their_optimizer = setting()
    config = tiny_config(kind, tiny_model(kind))
    objective = build_objective(config.noise, config.loss, ours)
    scheduler = None
    if kind not in EXAMPLES:
        scheduler = DDPMScheduler.from_pretrained(tiny_model(kind), subfolder="scheduler")
    differences = []
    for step in range(10):
        x0 = random_latents(ours, seed=step)
        draw = objective.draw(x0, 42, [1, 2], [step, step])
        corrupted = objective.corrupt(x0, draw.noise, draw.time)
        prediction = ours.forward(corrupted.noisy, corrupted.time, text, some_sizes())
        our_loss = objective.loss(prediction, corrupted)
        if scheduler is None:
            their_loss = EXAMPLES[kind](theirs.denoiser, x0, draw.noise, draw.time, text)
        else:
            their_loss = example_step_sd(
                theirs.denoiser, scheduler, x0, draw.noise, draw.time, text
            )
        for loss, optimizer in ((our_loss, our_optimizer), (their_loss, their_optimizer)):
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        differences.append(abs(our_loss.item() - their_loss.item()))
    assert max(differences) < 1e-5, differences


def sample(family, text, size: int) -> torch.Tensor:
    """Latents from the real pipeline, in the family's normalised, unpacked form."""
    family.denoiser.eval()
    request = ImageRequest(
        width=size,
        height=size,
        steps=12,
        guidance=1.0,
        generator=torch.Generator().manual_seed(5),
        output_type="latent",
    )
    pipe = family.pipeline()
    pipe.set_progress_bar_config(disable=True)
    with torch.no_grad():
        latents = pipe(**family.pipeline_kwargs(text, None, request)).images
    family.denoiser.train()
    if family.facts.key == "flux":
        from diffusers import FluxPipeline

        return FluxPipeline._unpack_latents(latents, size, size, pipe.vae_scale_factor)
    return latents


def overfit(kind: str, path, *, sign: float, steps: int) -> tuple[float, float]:
    """Sampling error to one fixed latent before and after training on it."""
    family = tiny_family(kind, path, "text", "vae", "denoiser")
    entry = family.encode_text([CAPTION])[0]
    text = family.collate_text([entry])
    target = random_latents(family, 1, seed=9).clamp(-1.5, 1.5)
    config = tiny_config(kind, path)
    objective = build_objective(config.noise, config.loss, family)
    size = 32
    before = (sample(family, entry, size) - target).abs().mean().item()
    family.denoiser.requires_grad_(True).train()
    optimizer = torch.optim.Adam(family.denoiser.parameters(), lr=2e-3)
    for step in range(steps):
        draw = objective.draw(target, 1, [7], [step])
        corrupted = objective.corrupt(target, draw.noise, draw.time)
        corrupted.target = sign * corrupted.target
        prediction = family.forward(corrupted.noisy, corrupted.time, text, some_sizes(1))
        objective.loss(prediction, corrupted).backward()
        optimizer.step()
        optimizer.zero_grad()
    return before, (sample(family, entry, size) - target).abs().mean().item()


STEPS = {"sd1x": 120, "sd2x": 120, "sdxl": 120, "flux": 300, "sd3": 300, "pixart": 300}


@pytest.mark.parametrize("kind", KINDS)
def test_sign(kind, tiny_model):
    """Overfit one latent, sample with the real pipeline: nearer than before. No loss shows this."""
    before, after = overfit(kind, tiny_model(kind), sign=1.0, steps=STEPS[kind])
    assert after < 0.85 * before, (before, after)


@pytest.mark.parametrize("kind", KINDS)
def test_sign_test_can_fail(kind, tiny_model):
    """With the target turned round on purpose the sampled latent is further away, not nearer."""
    before, after = overfit(kind, tiny_model(kind), sign=-1.0, steps=STEPS[kind] // 2)
    assert after > before


def test_velocity_points_to_noise():
    """The canonical flow target is noise minus clean."""
    x0, eps = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    assert torch.equal(velocity(x0, eps), eps)

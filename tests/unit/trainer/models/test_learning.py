"""The objective means the same as diffusers' example scripts, and learning goes the right way."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.support.families import (
    KINDS,
    edge,
    kind_of,
    random_latents,
    tiny_config,
    tiny_family,
    told,
)
from trainer.models.request import ImageRequest
from trainer.objective.compose import build_objective
from trainer.objective.flow import velocity

CAPTION = "a red apple"


def example_loss(kind: str, denoiser, scheduler, x0, noise, time, told):
    """One loss as in diffusers' own training scripts, around the bare denoiser.

    Flow: as the dreambooth scripts of Flux and SD3 with weighting none. Discrete: as the
    text-to-image scripts of Stable Diffusion. Others bring the loss of their own script.
    """
    from diffusers.training_utils import compute_loss_weighting_for_sd3

    if (script := kind_of(kind).script) is not None:
        return script(denoiser, x0, noise, time, told)
    if scheduler is not None:
        prediction = kind_of(kind).call(denoiser, scheduler.add_noise(x0, noise, time), time, told)
        v = scheduler.config.prediction_type == "v_prediction"
        target = scheduler.get_velocity(x0, noise, time) if v else noise
        return F.mse_loss(prediction.float(), target.float(), reduction="mean")
    s = time.view(-1, *(1,) * (x0.ndim - 1))
    prediction = kind_of(kind).call(denoiser, (1.0 - s) * x0 + s * noise, time, told)
    weighting = compute_loss_weighting_for_sd3(weighting_scheme="none", sigmas=s)
    error = weighting.float() * (prediction.float() - (noise - x0).float()) ** 2
    return torch.mean(error.reshape(len(x0), -1), 1).mean()


@pytest.mark.conformance("loss")
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
    if ours.alphas_cumprod is not None:
        scheduler = DDPMScheduler.from_pretrained(tiny_model(kind), subfolder="scheduler")
    condition = told(text)
    differences = []
    for step in range(10):
        x0 = random_latents(ours, seed=step)
        draw = objective.draw(x0, 42, [1, 2], [step, step])
        corrupted = objective.corrupt(x0, draw.noise, draw.time)
        prediction = ours.forward(corrupted.noisy, corrupted.time, condition)
        our_loss = objective.loss(prediction, corrupted)
        their_loss = example_loss(
            kind, theirs.denoiser, scheduler, x0, draw.noise, draw.time, condition
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
    return kind_of(family.facts.key).unpacked(latents, pipe, size)


def overfit(kind: str, path, *, sign: float, steps: int) -> tuple[float, float]:
    """Sampling error to one fixed latent before and after training on it."""
    family = tiny_family(kind, path, "text", "vae", "denoiser")
    entry = family.encode_text([CAPTION])[0]
    text = family.collate_text([entry])
    target = random_latents(family, 1, seed=9).clamp(-1.5, 1.5)
    config = tiny_config(kind, path)
    objective = build_objective(config.noise, config.loss, family)
    size = edge(kind)
    before = (sample(family, entry, size) - target).abs().mean().item()
    family.denoiser.requires_grad_(True).train()
    optimizer = torch.optim.Adam(family.denoiser.parameters(), lr=2e-3)
    for step in range(steps):
        draw = objective.draw(target, 1, [7], [step])
        corrupted = objective.corrupt(target, draw.noise, draw.time)
        corrupted.target = sign * corrupted.target
        prediction = family.forward(corrupted.noisy, corrupted.time, told(text, 1))
        objective.loss(prediction, corrupted).backward()
        optimizer.step()
        optimizer.zero_grad()
    return before, (sample(family, entry, size) - target).abs().mean().item()


@pytest.mark.conformance("sign")
@pytest.mark.parametrize("kind", KINDS)
def test_sign(kind, tiny_model):
    """Overfit one latent, sample with the real pipeline: nearer than before. No loss shows this."""
    before, after = overfit(kind, tiny_model(kind), sign=1.0, steps=kind_of(kind).sign_steps)
    assert after < 0.85 * before, (before, after)


@pytest.mark.conformance("sign")
@pytest.mark.parametrize("kind", KINDS)
def test_sign_test_can_fail(kind, tiny_model):
    """With the target turned round on purpose the sampled latent is further away, not nearer."""
    before, after = overfit(kind, tiny_model(kind), sign=-1.0, steps=kind_of(kind).sign_steps // 2)
    assert after > before


def test_velocity_points_to_noise():
    """The canonical flow target is noise minus clean."""
    x0, eps = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    assert torch.equal(velocity(x0, eps), eps)

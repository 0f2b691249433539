"""Train the demo's autoencoder from scratch: 64 px pictures to 16x16x4 latents.

    python -m bench.demo_model.vae GOOGLE_DIR TWITTER_DIR OUT_DIR [STEPS]

An `AutoencoderKL` of 0.77 M parameters on all emoji of both packages, L1 loss plus a loss on
picture gradients (edges carry what a small picture is), a whisper of KL. The latents' mean and
spread are measured at the end and written as shift and scaling factor. This is tooling, not the
product: the product trains denoisers, not autoencoders.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from bench.demo_model.pictures import on_white

BATCH = 24


def autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(24, 48, 64),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=64,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
    )


def load(packages: dict[str, Path]) -> Tensor:
    """All pictures, uint8 [N, 3, 64, 64]."""
    rows = []
    for vendor, package in packages.items():
        for path in sorted((package / "img" / vendor / "64").glob("*.png")):
            rows.append(np.asarray(on_white(path)))
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).contiguous()


def batch(pictures: Tensor, generator: torch.Generator) -> Tensor:
    index = torch.randint(len(pictures), (BATCH,), generator=generator)
    x = pictures[index].float() / 127.5 - 1.0
    if torch.rand((), generator=generator) < 0.5:
        x = x.flip(-1)
    shift = torch.randint(-4, 5, (2,), generator=generator).tolist()
    return x.roll(shift, (-2, -1))


def edges(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def loss_of(vae: AutoencoderKL, x: Tensor) -> tuple[Tensor, Tensor]:
    posterior = vae.encode(x).latent_dist
    out = vae.decode(posterior.sample()).sample
    absolute = (out - x).abs().mean()
    gradient = sum(F.l1_loss(a, b) for a, b in zip(edges(out), edges(x), strict=True))
    return absolute + 0.5 * gradient + 2e-6 * posterior.kl().mean() / 64, absolute


def measure(vae: AutoencoderKL, pictures: Tensor) -> tuple[float, float, float]:
    """Mean absolute error, latent mean and latent spread on a sample of pictures."""
    x = pictures[:: max(1, len(pictures) // 256)].float() / 127.5 - 1.0
    with torch.no_grad():
        z = vae.encode(x).latent_dist.mean
        error = (vae.decode(z).sample - x).abs().mean()
    return error.item(), z.mean().item(), z.std().item()


def main(google: Path, twitter: Path, out: Path, steps: int) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    pictures = load({"google": google, "twitter": twitter})
    vae = autoencoder().train()
    millions = sum(p.numel() for p in vae.parameters()) / 1e6
    print(f"{millions:.2f} M parameters, {len(pictures)} pictures")
    optimizer = torch.optim.AdamW(vae.parameters(), lr=2e-3, weight_decay=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 2e-3, total_steps=steps, pct_start=0.1
    )
    started = time.time()
    for step in range(1, steps + 1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss, absolute = loss_of(vae, batch(pictures, generator))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 50 == 0:
            print(
                f"{step} error {absolute.item():.4f} {step / (time.time() - started):.2f} it/s",
                flush=True,
            )
    vae.eval()
    error, mean, spread = measure(vae, pictures)
    vae.register_to_config(shift_factor=mean, scaling_factor=1.0 / spread)
    print(f"error {error:.4f}, latent mean {mean:.3f}, spread {spread:.3f}")
    vae.to(torch.bfloat16).save_pretrained(out)


if __name__ == "__main__":
    main(*(Path(a) for a in sys.argv[1:4]), int(sys.argv[4]) if len(sys.argv) > 4 else 1500)

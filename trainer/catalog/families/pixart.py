"""Facts of PixArt Sigma (families.md §3, §4.6).

The 900M v0.7 checkpoints are two experts after eDiff-I: the first was trained on the steps from
noise to composition, the second on the last 400 of the 1000 times. Each is trained on its own part
here too, since training one on all of them would undo that.
"""

from trainer.catalog.facts import FamilyFacts, Flavour, Prediction, TextEncoderFact

_LICENCE = "CreativeML Open RAIL++-M"
_SIGMA = "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS"
_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_FF = ("ff.net.0.proj", "ff.net.2")
_CALM = {"optimizer.clip": 0.01}  # gradients of this family spike; the limit of its own trainings
_BOUNDARY = 0.4  # noise level at which the second expert takes over


def _expert(number: int, side: str) -> Flavour:
    part = {f"noise.interval.{side}": _BOUNDARY, "validation.levels": "trained"}
    return Flavour(
        repo=f"terminusresearch/pixart-900m-1024-ft-v0.7-stage{number}",
        licence="CreativeML Open RAIL-M",
        defaults=_CALM | part,
    )


FACTS = FamilyFacts(
    key="pixart",
    display_name="PixArt Sigma",
    architecture="pixart-sigma-xl-2",
    denoiser_slot="transformer",
    denoiser_class="diffusers.PixArtTransformer2DModel",
    denoiser_aliases=("Transformer2DModel",),  # what the first published configurations say
    denoiser_config={"norm_type": "ada_norm_single", "patch_size": 2},
    learned_variance=True,
    vae_class="diffusers.AutoencoderKL",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.T5EncoderModel",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.T5TokenizerFast",
            max_tokens=300,
        ),
    ),
    pipeline_class="diffusers.PixArtSigmaPipeline",
    flavours={
        "900M-1024-v0.6": Flavour(
            repo="terminusresearch/pixart-900m-1024-ft-v0.6",
            licence="CreativeML Open RAIL-M",
            defaults=_CALM,
        ),
        "900M-1024-v0.7-stage1": _expert(1, "low"),
        "900M-1024-v0.7-stage2": _expert(2, "high"),
        "600M-1024": Flavour(repo=_SIGMA, licence=_LICENCE, defaults=_CALM),
        # These two repositories hold the transformer alone; the rest is that of 1024 pixels.
        "600M-512": Flavour(
            repo=_SIGMA,
            licence=_LICENCE,
            defaults=_CALM
            | {
                "model.components.denoiser.path": "PixArt-alpha/PixArt-Sigma-XL-2-512-MS",
                "data.defaults.resolution": "512px2",
            },
        ),
        "600M-2048": Flavour(
            repo=_SIGMA,
            licence=_LICENCE,
            defaults=_CALM
            | {
                "model.components.denoiser.path": "PixArt-alpha/PixArt-Sigma-XL-2-2K-MS",
                "data.defaults.resolution": "2048px2",
            },
        ),
    },
    default_flavour="900M-1024-v0.6",
    prediction=Prediction.EPSILON,
    latent_channels=4,
    spatial_factor=8,
    vae_fp32=True,
    pixel_multiple=32,
    default_resolution=1024,
    guidance=4.5,
    validation_steps=20,
    lora_targets={"attention": _ATTENTION, "attention+ffs": (*_ATTENTION, *_FF)},
    default_targets="attention",
    lycoris_targets={"attention": ("Attention",), "attention+ffs": ("Attention", "FeedForward")},
    attention_kernels=False,
    supports=frozenset({"max_tokens", "experts"}),
)

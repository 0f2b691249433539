"""Facts of Stable Diffusion XL (families.md §3, §4.2)."""

from trainer.catalog.facts import FamilyFacts, Flavour, Prediction, TextEncoderFact
from trainer.catalog.families.sd1x import UNET_LYCORIS, UNET_TARGETS

_SDXL = "stabilityai/stable-diffusion-xl"
_LICENCE, _RESEARCH = "CreativeML Open RAIL++-M", "SDXL 0.9 Research License"
_LAST_FIFTH = {"noise.interval.high": 0.2, "validation.levels": "trained"}  # as it was trained

FACTS = FamilyFacts(
    key="sdxl",
    display_name="Stable Diffusion XL",
    architecture="stable-diffusion-xl-v1-base",
    denoiser_slot="unet",
    denoiser_class="diffusers.UNet2DConditionModel",
    denoiser_config={"addition_embed_type": "text_time", "encoder_hid_dim_type": None},
    vae_class="diffusers.AutoencoderKL",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.CLIPTextModel",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.CLIPTokenizer",
            max_tokens=77,
            optional=True,  # the refiner does without
        ),
        TextEncoderFact(
            slot="text_encoder_2",
            model_class="transformers.CLIPTextModelWithProjection",
            tokenizer_slot="tokenizer_2",
            tokenizer_class="transformers.CLIPTokenizer",
            max_tokens=77,
        ),
    ),
    pipeline_class="diffusers.StableDiffusionXLPipeline",
    flavours={
        "base-1.0": Flavour(repo=f"{_SDXL}-base-1.0", licence=_LICENCE),
        "refiner-1.0": Flavour(repo=f"{_SDXL}-refiner-1.0", licence=_LICENCE, defaults=_LAST_FIFTH),
        "base-0.9": Flavour(repo=f"{_SDXL}-base-0.9", licence=_RESEARCH, gated=True),
        "refiner-0.9": Flavour(
            repo=f"{_SDXL}-refiner-0.9", licence=_RESEARCH, gated=True, defaults=_LAST_FIFTH
        ),
    },
    default_flavour="base-1.0",
    prediction=Prediction.EPSILON,
    latent_channels=4,
    spatial_factor=8,
    vae_fp32=True,
    pixel_multiple=64,
    default_resolution=1024,
    guidance=5.0,
    validation_steps=28,
    lora_targets=UNET_TARGETS,
    default_targets="attention",
    lycoris_targets=UNET_LYCORIS,
    attention_kernels=False,
    supports=frozenset({"controlnet", "experts"}),
    quant_levels=frozenset({"int8", "nf4"}),
)

"""Facts of Stable Diffusion XL (families.md §3, §4.2)."""

from trainer.catalog.facts import FamilyFacts, Flavour, Prediction, TextEncoderFact
from trainer.catalog.families.sd1x import UNET_LYCORIS, UNET_TARGETS

FACTS = FamilyFacts(
    key="sdxl",
    display_name="Stable Diffusion XL",
    architecture="stable-diffusion-xl-v1-base",
    denoiser_slot="unet",
    denoiser_class="diffusers.UNet2DConditionModel",
    denoiser_config={"addition_embed_type": "text_time"},
    vae_class="diffusers.AutoencoderKL",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.CLIPTextModel",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.CLIPTokenizer",
            max_tokens=77,
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
        "base-1.0": Flavour(
            repo="stabilityai/stable-diffusion-xl-base-1.0", licence="CreativeML Open RAIL++-M"
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
    supports=frozenset({"controlnet"}),
    quant_levels=frozenset({"int8", "nf4"}),
)

"""Facts of Stable Cascade's stage C (families.md §3, §4.5).

A picture is encoded at three quarters of its size, 32 pixels to a latent: so 128 pixels of it are
three latents, and 1024 are 24. Stage C is trained in fp32; its decoder (stages B and A) is not
trained, and draws the validation pictures.
"""

from fractions import Fraction

from trainer.catalog.facts import (
    FamilyFacts,
    Flavour,
    ImageEncoderFact,
    Prediction,
    TextEncoderFact,
)

DECODER = "stabilityai/stable-cascade"  # has the picture encoder too

_PRIOR = "stabilityai/stable-cascade-prior"
_LICENCE = "Stability AI Non-Commercial Research Community License"
_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_MLP = ("channelwise.0", "channelwise.4", "kv_mapper.1")

FACTS = FamilyFacts(
    key="stable_cascade",
    display_name="Stable Cascade",
    architecture="stable-cascade-stage-c",
    denoiser_slot="prior",
    denoiser_class="diffusers.StableCascadeUNet",
    vae_class="trainer.models.parts.efficientnet.EfficientNetEncoder",
    vae_file="effnet_encoder.safetensors",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.CLIPTextModelWithProjection",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.CLIPTokenizer",
            max_tokens=77,
        ),
    ),
    image_encoder=ImageEncoderFact(
        slot="image_encoder",
        model_class="transformers.CLIPVisionModelWithProjection",
        processor_slot="feature_extractor",
        processor_class="transformers.CLIPImageProcessor",
        of="sample",
    ),
    pipeline_class="diffusers.StableCascadePriorPipeline",
    flavours={
        "stage-c": Flavour(repo=_PRIOR, licence=_LICENCE),
        "stage-c-lite": Flavour(
            repo=_PRIOR,
            licence=_LICENCE,
            defaults={"model.components.denoiser.subfolder": "prior_lite"},
        ),
    },
    default_flavour="stage-c",
    prediction=Prediction.EPSILON,
    continuous_time=True,
    latent_channels=16,
    spatial_factor=Fraction(128, 3),
    latent_stat="mean",
    vae_fp32=True,
    fp32_weights=True,
    quant_levels=frozenset(),
    quant_refused=frozenset({"int8", "int4", "fp8", "nf4"}),
    pixel_multiple=128,
    default_resolution=1024,
    guidance=4.0,
    validation_steps=20,
    lora_targets={"attention": _ATTENTION, "attention+mlps": (*_ATTENTION, *_MLP)},
    default_targets="attention",
    lycoris_targets={"attention": ("Attention",)},
    comfyui_prefix="diffusion_model",
    comfyui_names=(
        (".attention.to_out.0", ".attention.attn.out_proj"),
        (".attention.to_", ".attention.attn.to_"),
    ),
)

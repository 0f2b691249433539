"""Facts of DeepFloyd IF (families.md §3, §4.4): two stages that work on pixels.

Stage I draws pictures of 64 pixels; stage II makes 256 of them, looking at the small picture. The
third stage of the original cascade is the upscaler of Stable Diffusion, another family.
"""

from typing import Any

from trainer.catalog.facts import FamilyFacts, Flavour, Prediction, TextEncoderFact

_LICENCE = "DeepFloyd IF License: research only"
_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0", "add_k_proj", "add_v_proj")
_CONVS = ("conv1", "conv2", "conv_shortcut", "time_emb_proj")


def _first(size: str) -> Flavour:
    return Flavour(
        repo=f"DeepFloyd/IF-I-{size}-v1.0",
        licence=_LICENCE,
        gated=True,
        conditioning=False,
    )


def _second(size: str) -> Flavour:
    defaults: dict[str, Any] = {"data.defaults.resolution": "256px2", "validation.guidance": 4.0}
    return Flavour(
        repo=f"DeepFloyd/IF-II-{size}-v1.0",
        licence=_LICENCE,
        gated=True,
        conditioning=True,
        defaults=defaults,
    )


FACTS = FamilyFacts(
    key="deepfloyd",
    display_name="DeepFloyd IF",
    architecture="deepfloyd-if-v1",
    denoiser_slot="unet",
    denoiser_class="diffusers.UNet2DConditionModel",
    denoiser_config={"addition_embed_type": "text"},
    learned_variance=True,
    vae_class=None,
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.T5EncoderModel",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.T5TokenizerFast",
            max_tokens=77,
        ),
    ),
    pipeline_class="diffusers.IFPipeline",
    flavours={
        "i-medium-400m": _first("M"),
        "i-large-900m": _first("L"),
        "i-xlarge-4.3b": _first("XL"),
        "ii-medium-450m": _second("M"),
        "ii-large-1.2b": _second("L"),
    },
    default_flavour="i-medium-400m",
    prediction=Prediction.EPSILON,
    latent_channels=3,
    spatial_factor=1,
    vae_fp32=True,
    pixel_multiple=8,
    default_resolution=64,
    guidance=7.0,
    validation_steps=50,
    lora_targets={"attention": _ATTENTION, "attention+convs": (*_ATTENTION, *_CONVS)},
    default_targets="attention",
    lycoris_targets={
        "attention": ("Attention",),
        "attention+convs": ("Attention", "ResnetBlock2D"),
    },
    attention_kernels=False,
    layouts=("diffusers",),  # ComfyUI has no pixel models of this kind
    quant_levels=frozenset(),
    supports=frozenset({"conditioning"}),
)

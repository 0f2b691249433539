"""Facts of CogView4 (families.md §11).

Times are uniform and shifted by resolution, as in sampling; the rule is the family's own. ComfyUI
has no CogView4 yet, so its layout is written under the general prefix.
"""

from trainer.catalog.facts import FamilyFacts, Flavour, Packing, Prediction, TextEncoderFact

_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")  # pictures and text share them
_FF = ("ff.net.0.proj", "ff.net.2")

FACTS = FamilyFacts(
    key="cogview4",
    display_name="CogView4",
    architecture="cogview4-6b",
    denoiser_slot="transformer",
    denoiser_class="diffusers.CogView4Transformer2DModel",
    vae_class="diffusers.AutoencoderKL",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.GlmModel",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.PreTrainedTokenizerFast",
            max_tokens=1024,
        ),
    ),
    token_limit=1024,
    pipeline_class="diffusers.CogView4Pipeline",
    flavours={
        "6b": Flavour(
            repo="zai-org/CogView4-6B",
            licence="Apache-2.0",
        ),
    },
    default_flavour="6b",
    prediction=Prediction.FLOW,
    latent_channels=16,
    spatial_factor=8,
    packing=Packing.TWO_BY_TWO,
    pixel_multiple=32,
    default_resolution=1024,
    guidance=3.5,
    validation_steps=50,
    sigma_sampling="uniform",
    shift="auto",
    lora_targets={"attention": _ATTENTION, "attention+ffs": (*_ATTENTION, *_FF)},
    default_targets="attention",
    comfyui_prefix="diffusion_model",
    diffusers_reads_alpha=False,
    supports=frozenset({"max_tokens"}),
)

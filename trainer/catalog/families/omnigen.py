"""Facts of OmniGen v1 (families.md §3, §4.15).

It has no text encoder: its transformer reads the tokens of the prompt beside those of the picture.
"""

from trainer.catalog.facts import FamilyFacts, Flavour, Packing, Prediction, TextEncoderFact

_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_FF = ("gate_up_proj", "down_proj")

FACTS = FamilyFacts(
    key="omnigen",
    display_name="OmniGen",
    architecture="omnigen-v1",
    denoiser_slot="transformer",
    denoiser_class="diffusers.OmniGenTransformer2DModel",
    vae_class="diffusers.AutoencoderKL",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class=None,
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.LlamaTokenizer",
            max_tokens=131072,  # positions of the transformer; nothing is cut
        ),
    ),
    pipeline_class="diffusers.OmniGenPipeline",
    flavours={"v1": Flavour(repo="Shitao/OmniGen-v1-diffusers", licence="MIT")},
    default_flavour="v1",
    prediction=Prediction.FLOW,
    latent_channels=4,
    spatial_factor=8,
    packing=Packing.TWO_BY_TWO,
    vae_fp32=True,
    pixel_multiple=16,
    default_resolution=1024,
    guidance=2.5,
    validation_steps=50,
    sigma_sampling="sigmoid",
    lora_targets={"attention": _ATTENTION, "attention+ffs": (*_ATTENTION, *_FF)},
    default_targets="attention",
    layouts=("diffusers",),
    quant_levels=frozenset({"int8", "fp8"}),
)

"""Facts of AuraFlow (families.md §3, §4.11).

The shift is that of the published schedules. How large a picture may be is read from the
checkpoint: its table of positions is learned, and its size differs between versions.
"""

from trainer.catalog.facts import FamilyFacts, Flavour, Packing, Prediction, TextEncoderFact

_LICENCE = "Apache-2.0"
_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_ADDED = ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
_FF = tuple(
    f"{stream}.{layer}"
    for stream in ("ff", "ff_context")
    for layer in ("linear_1", "linear_2", "out_projection")
)

FACTS = FamilyFacts(
    key="auraflow",
    display_name="AuraFlow",
    architecture="auraflow",
    denoiser_slot="transformer",
    denoiser_class="diffusers.AuraFlowTransformer2DModel",
    vae_class="diffusers.AutoencoderKL",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.UMT5EncoderModel",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.LlamaTokenizerFast",
            max_tokens=256,
        ),
    ),
    token_limit=768,  # of Pony
    pipeline_class="diffusers.AuraFlowPipeline",
    flavours={
        "v0.3": Flavour(repo="fal/AuraFlow-v0.3", licence=_LICENCE),
        "v0.2": Flavour(repo="fal/AuraFlow-v0.2", licence=_LICENCE),
        "v0.1": Flavour(repo="fal/AuraFlow", licence=_LICENCE),
        "pony": Flavour(
            repo="purplesmartai/pony-v7-base",
            licence="Pony License",
            defaults={"model.max_tokens": 768},
        ),
    },
    default_flavour="v0.3",
    prediction=Prediction.FLOW,
    latent_channels=4,
    spatial_factor=8,
    packing=Packing.TWO_BY_TWO,
    vae_fp32=True,
    pixel_multiple=64,
    default_resolution=1024,
    guidance=3.5,
    validation_steps=50,
    sigma_sampling="sigmoid",
    shift=1.73,
    lora_targets={
        "attention": _ATTENTION,
        "all": (*_ATTENTION, *_ADDED),
        "all+ffs": (*_ATTENTION, *_ADDED, *_FF),
        "context": _ADDED,
    },
    default_targets="all",
    diffusers_reads_alpha=False,
    quant_levels=frozenset({"int8", "fp8", "nf4"}),
    supports=frozenset({"max_tokens"}),
)

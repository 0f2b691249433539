"""Facts of Chroma 1 (families.md §3, §4.10).

No target preset reaches `distilled_guidance_layer`: this one small network makes the modulation of
every block, so an adapter on it would move all of them at once.
"""

from trainer.catalog.facts import FamilyFacts, Flavour, Packing, Prediction, TextEncoderFact

_LICENCE = "Apache-2.0"
_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_ADDED = ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
_CONTEXT_FF = ("ff_context.net.0.proj", "ff_context.net.2")
_FF = ("ff.net.0.proj", "ff.net.2", *_CONTEXT_FF, "proj_mlp", "proj_out")

FACTS = FamilyFacts(
    key="chroma",
    display_name="Chroma 1",
    architecture="chroma-1",
    denoiser_slot="transformer",
    denoiser_class="diffusers.ChromaTransformer2DModel",
    vae_class="diffusers.AutoencoderKL",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.T5EncoderModel",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.T5TokenizerFast",
            max_tokens=512,
        ),
    ),
    pipeline_class="diffusers.ChromaPipeline",
    flavours={
        "base": Flavour(
            repo="lodestones/Chroma1-Base",
            licence=_LICENCE,
            defaults={
                "data.defaults.resolution": "512px2",  # the size it was trained at
            },
        ),
        "hd": Flavour(
            repo="lodestones/Chroma1-HD",
            licence=_LICENCE,
            defaults={"validation.steps": 40, "validation.guidance": 3.0},
        ),
        "flash": Flavour(  # guidance is trained in
            repo="lodestones/Chroma1-Flash",
            licence=_LICENCE,
            defaults={"validation.steps": 16, "validation.guidance": 1.0},
        ),
    },
    default_flavour="base",
    prediction=Prediction.FLOW,
    latent_channels=16,
    spatial_factor=8,
    packing=Packing.TWO_BY_TWO,
    pixel_multiple=64,
    default_resolution=1024,
    guidance=5.0,
    validation_steps=35,
    sigma_sampling="sigmoid",
    sigma_warp="ends",
    lora_targets={
        "attention": _ATTENTION,
        "all": (*_ATTENTION, *_ADDED),
        "all+ffs": (*_ATTENTION, *_ADDED, *_FF),
        "all+ffs+embedder": (*_ATTENTION, *_ADDED, *_FF, "x_embedder"),
        "context": _ADDED,
        "context+ffs": (*_ADDED, *_CONTEXT_FF),
    },
    default_targets="all",
    quant_levels=frozenset({"int8", "fp8", "nf4"}),
    supports=frozenset({"max_tokens"}),
)

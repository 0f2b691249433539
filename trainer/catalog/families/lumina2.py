"""Facts of Lumina-Image 2 (families.md §3, §4.13)."""

from trainer.catalog.facts import (
    FamilyFacts,
    Flavour,
    Native,
    Packing,
    Prediction,
    TextEncoderFact,
)

_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_FF = ("feed_forward.linear_1", "feed_forward.linear_2", "feed_forward.linear_3")
_ANIME = "You are an assistant designed to generate anime images based on textual prompts."

FACTS = FamilyFacts(
    key="lumina2",
    display_name="Lumina-Image 2",
    architecture="lumina-image-2",
    denoiser_slot="transformer",
    denoiser_class="diffusers.Lumina2Transformer2DModel",
    vae_class="diffusers.AutoencoderKL",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.Gemma2Model",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.GemmaTokenizer",
            max_tokens=256,
        ),
    ),
    pipeline_class="diffusers.Lumina2Pipeline",
    flavours={
        "2.0": Flavour(
            repo="Alpha-VLLM/Lumina-Image-2.0",
            licence="Apache-2.0",
        ),
        "neta-lumina": Flavour(
            repo="terminusresearch/neta-lumina-v1",
            licence="Fair AI Public License 1.0-SD",
            defaults={
                "validation.guidance": 5.0,
                "model.options.lumina2.system_prompt": _ANIME,
            },
        ),
    },
    default_flavour="2.0",
    prediction=Prediction.FLOW,
    latent_channels=16,
    spatial_factor=8,
    packing=Packing.TWO_BY_TWO,
    token_limit=299,  # the table of positions has 300, one of them for the picture
    pixel_multiple=64,
    default_resolution=1024,
    guidance=4.0,
    validation_steps=30,
    sigma_sampling="sigmoid",
    shift=3.0,
    lora_targets={
        "attention": _ATTENTION,
        "attention+ffs": (*_ATTENTION, *_FF),
        "all": (*_ATTENTION, *_FF, "norm1.linear"),
    },
    default_targets="attention",
    comfyui_prefix="diffusion_model",
    comfyui_native=Native(
        renamed={
            "attn.to_out.0": "attention.out",
            "feed_forward.linear_1": "feed_forward.w1",
            "feed_forward.linear_2": "feed_forward.w2",
            "feed_forward.linear_3": "feed_forward.w3",
            "norm1.linear": "adaLN_modulation.1",
        },
        fused={"attention.qkv": ("attn.to_q", "attn.to_k", "attn.to_v")},
    ),
    diffusers_reads_alpha=False,
    supports=frozenset({"max_tokens"}),
)

"""Facts of Flux.1 (families.md §3, §4.8)."""

from trainer.catalog.facts import FamilyFacts, Flavour, Packing, Prediction, TextEncoderFact

_NON_COMMERCIAL = "FLUX.1 [dev] Non-Commercial License"
_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_ADDED = ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
_CONTEXT_FF = ("ff_context.net.0.proj", "ff_context.net.2")
_FF = ("ff.net.0.proj", "ff.net.2", *_CONTEXT_FF, "proj_mlp", "proj_out")
_NORMS = ("norm.linear", "norm1.linear", "norm1_context.linear")

FACTS = FamilyFacts(
    key="flux",
    display_name="Flux.1",
    architecture="flux-1-dev",
    denoiser_slot="transformer",
    denoiser_class="diffusers.FluxTransformer2DModel",
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
            model_class="transformers.T5EncoderModel",
            tokenizer_slot="tokenizer_2",
            tokenizer_class="transformers.T5TokenizerFast",
            max_tokens=512,
        ),
    ),
    pipeline_class="diffusers.FluxPipeline",
    flavours={
        "dev": Flavour(repo="black-forest-labs/FLUX.1-dev", licence=_NON_COMMERCIAL, gated=True),
        "krea": Flavour(
            repo="black-forest-labs/FLUX.1-Krea-dev", licence=_NON_COMMERCIAL, gated=True
        ),
        "kontext": Flavour(
            repo="black-forest-labs/FLUX.1-Kontext-dev",
            licence=_NON_COMMERCIAL,
            gated=True,
            defaults={"validation.guidance": 2.5},
        ),
        "schnell": Flavour(
            repo="black-forest-labs/FLUX.1-schnell",
            licence="Apache-2.0",
            defaults={
                "model.max_tokens": 256,
                "model.assistant.path": "ostris/FLUX.1-schnell-training-adapter",
                "validation.steps": 4,
                "validation.guidance": 0.0,
            },
        ),
    },
    default_flavour="dev",
    prediction=Prediction.FLOW,
    latent_channels=16,
    spatial_factor=8,
    packing=Packing.TWO_BY_TWO,
    pixel_multiple=16,
    default_resolution=1024,
    guidance=3.5,
    validation_steps=28,
    sigma_sampling="sigmoid",
    shift=3.0,
    lora_targets={
        "attention": _ATTENTION,
        "all": (*_ATTENTION, *_ADDED),
        "all+ffs": (*_ATTENTION, *_ADDED, *_FF),
        "all+ffs+embedder": (*_ATTENTION, *_ADDED, *_FF, "x_embedder"),
        "ai-toolkit": (*_ATTENTION, *_ADDED, *_FF, *_NORMS),
        "context": _ADDED,
        "context+ffs": (*_ADDED, *_CONTEXT_FF),
        "tiny": tuple(f"single_transformer_blocks.{n}.proj_out" for n in (7, 20)),
        "nano": ("single_transformer_blocks.7.proj_out",),
    },
    default_targets="all",
    lycoris_targets={
        "attention": ("FluxAttention",),
        "attention+ffs": ("FluxAttention", "FeedForward"),
        "blocks": ("FluxTransformerBlock", "FluxSingleTransformerBlock"),
    },
    control_layers={"layers": 4, "single_layers": 10},
    supports=frozenset(
        {"max_tokens", "attention_mask", "guidance_embed", "conditioning", "controlnet"}
    ),
    quant_levels=frozenset({"int8", "fp8", "nf4"}),
)

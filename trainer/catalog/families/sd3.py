"""Facts of Stable Diffusion 3 and 3.5 (families.md §3, §4.7)."""

from trainer.catalog.facts import FamilyFacts, Flavour, Prediction, TextEncoderFact

_COMMUNITY = "Stability AI Community License"
_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")  # of attn, and of attn2 where a block has one
_ADDED = ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
_FF = ("ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2")

FACTS = FamilyFacts(
    key="sd3",
    display_name="Stable Diffusion 3",
    architecture="stable-diffusion-3",
    denoiser_slot="transformer",
    denoiser_class="diffusers.SD3Transformer2DModel",
    vae_class="diffusers.AutoencoderKL",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.CLIPTextModelWithProjection",
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
        TextEncoderFact(
            slot="text_encoder_3",
            model_class="transformers.T5EncoderModel",
            tokenizer_slot="tokenizer_3",
            tokenizer_class="transformers.T5TokenizerFast",
            max_tokens=256,
            optional=True,
        ),
    ),
    pipeline_class="diffusers.StableDiffusion3Pipeline",
    flavours={
        "medium": Flavour(
            repo="stabilityai/stable-diffusion-3.5-medium",
            licence=_COMMUNITY,
            gated=True,
        ),
        "large": Flavour(
            repo="stabilityai/stable-diffusion-3.5-large",
            licence=_COMMUNITY,
            gated=True,
            defaults={"validation.steps": 28, "validation.guidance": 3.5},
        ),
        "large-turbo": Flavour(
            repo="stabilityai/stable-diffusion-3.5-large-turbo",
            licence=_COMMUNITY,
            gated=True,
            defaults={"validation.steps": 4, "validation.guidance": 0.0},
        ),
        "3-medium": Flavour(
            repo="stabilityai/stable-diffusion-3-medium-diffusers",
            licence=_COMMUNITY,
            gated=True,
            defaults={"validation.steps": 28, "validation.guidance": 7.0},
        ),
    },
    default_flavour="medium",
    prediction=Prediction.FLOW,
    latent_channels=16,
    spatial_factor=8,
    pixel_multiple=64,
    default_resolution=1024,
    guidance=4.5,
    validation_steps=40,
    sigma_sampling="sigmoid",
    shift=3.0,
    lora_targets={
        "attention": _ATTENTION,
        "all": (*_ATTENTION, *_ADDED),
        "all+ffs": (*_ATTENTION, *_ADDED, *_FF),
        "context": _ADDED,
    },
    default_targets="attention",
    lycoris_targets={"attention": ("Attention",), "attention+ffs": ("Attention", "FeedForward")},
    diffusers_reads_alpha=False,
    attention_kernels=False,
    quant_levels=frozenset({"int8", "fp8", "nf4"}),
    control_layers={"layers": 12},
    supports=frozenset({"max_tokens", "controlnet"}),
)

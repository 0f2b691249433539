"""Facts of HiDream-I1 (families.md §3, §4.14)."""

from trainer.catalog.facts import FamilyFacts, Flavour, Packing, Prediction, TextEncoderFact

_IMAGE = ("to_q", "to_k", "to_v", "to_out")
_TEXT = ("to_q_t", "to_k_t", "to_v_t", "to_out_t")
_FF = tuple(f"{layer}.{w}" for layer in ("shared_experts", "ff_t") for w in ("w1", "w2", "w3"))
_MAX_TOKENS = 128  # of all four, by the pipeline; the CLIPs are long ones


def _encoder(number: str, model: str, tokenizer: str, **more: object) -> TextEncoderFact:
    return TextEncoderFact(
        slot=f"text_encoder{number}",
        model_class=f"transformers.{model}",
        tokenizer_slot=f"tokenizer{number}",
        tokenizer_class=f"transformers.{tokenizer}",
        max_tokens=_MAX_TOKENS,
        **more,  # type: ignore[arg-type]
    )


def _distilled(name: str, steps: int, shift: float) -> Flavour:
    return Flavour(
        repo=f"HiDream-ai/HiDream-I1-{name}",
        licence="MIT",
        defaults={
            "noise.shift": shift,
            "validation.steps": steps,
            "validation.guidance": 0.0,
        },
    )


FACTS = FamilyFacts(
    key="hidream",
    display_name="HiDream-I1",
    architecture="hidream-i1",
    denoiser_slot="transformer",
    denoiser_class="diffusers.HiDreamImageTransformer2DModel",
    denoiser_config={"force_inference_output": False},  # else no expert would ever be trained
    vae_class="diffusers.AutoencoderKL",
    text_encoders=(
        _encoder("", "CLIPTextModelWithProjection", "CLIPTokenizer"),
        _encoder("_2", "CLIPTextModelWithProjection", "CLIPTokenizer"),
        _encoder("_3", "T5EncoderModel", "T5TokenizerFast"),
        _encoder(
            "_4",
            "LlamaForCausalLM",
            "PreTrainedTokenizerFast",
            repo="terminusresearch/HiDream-I1-Llama-3.1-8B-Instruct",
            place_option="options.hidream.llama",
            states=32,
        ),
    ),
    pipeline_class="diffusers.HiDreamImagePipeline",
    flavours={
        "full": Flavour(repo="HiDream-ai/HiDream-I1-Full", licence="MIT"),
        "dev": _distilled("Dev", steps=28, shift=6.0),
        "fast": _distilled("Fast", steps=16, shift=3.0),
    },
    default_flavour="full",
    prediction=Prediction.FLOW,
    latent_channels=16,
    spatial_factor=8,
    packing=Packing.TWO_BY_TWO,
    pixel_multiple=64,
    default_resolution=1024,
    guidance=5.0,
    validation_steps=50,
    sigma_sampling="sigmoid",
    shift=3.0,
    lora_targets={
        "attention": (*_IMAGE, *_TEXT),
        "attention+ffs": (*_IMAGE, *_TEXT, *_FF),
        "image": _IMAGE,
    },
    default_targets="attention",
    lycoris_targets={"attention": ("HiDreamAttention",)},
    diffusers_reads_alpha=False,
    quant_levels=frozenset({"int8", "nf4"}),
    supports=frozenset({"max_tokens"}),
)

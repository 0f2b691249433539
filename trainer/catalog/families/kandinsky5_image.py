"""Facts of Kandinsky 5 Image (families.md §3, §4.22)."""

from trainer.catalog.facts import FamilyFacts, Flavour, Packing, Prediction, TextEncoderFact

_ATTENTION = ("to_query", "to_key", "to_value")
_OUT = ("self_attention.out_layer", "cross_attention.out_layer")
_FF = ("feed_forward.in_layer", "feed_forward.out_layer")


def _edits(kind: str) -> Flavour:
    """A model whose denoiser has more inputs: a picture, and where it is to be looked at."""
    return Flavour(
        repo=f"kandinskylab/Kandinsky-5.0-I2I-Lite-{kind}-Diffusers",
        licence="MIT",
        edits=True,
        max_references=1,
        cut_alike=True,
        pipeline_class="diffusers.Kandinsky5I2IPipeline",
        denoiser_config={"visual_cond": True},
    )


FACTS = FamilyFacts(
    key="kandinsky5_image",
    display_name="Kandinsky 5 Image",
    architecture="kandinsky-5-image",
    denoiser_slot="transformer",
    denoiser_class="diffusers.Kandinsky5Transformer3DModel",
    denoiser_config={"visual_cond": False},
    vae_class="diffusers.AutoencoderKL",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.Qwen2_5_VLForConditionalGeneration",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.Qwen2Tokenizer",
            max_tokens=512,
        ),
        TextEncoderFact(
            slot="text_encoder_2",
            model_class="transformers.CLIPTextModel",
            tokenizer_slot="tokenizer_2",
            tokenizer_class="transformers.CLIPTokenizer",
            max_tokens=77,
        ),
    ),
    processor_slot="tokenizer",  # what lies there is both
    pipeline_class="diffusers.Kandinsky5T2IPipeline",
    flavours={
        "t2i-lite-sft": Flavour(
            repo="kandinskylab/Kandinsky-5.0-T2I-Lite-sft-Diffusers", licence="MIT"
        ),
        "t2i-lite-pretrain": Flavour(
            repo="kandinskylab/Kandinsky-5.0-T2I-Lite-pretrain-Diffusers", licence="MIT"
        ),
        "i2i-lite-sft": _edits("sft"),
        "i2i-lite-pretrain": _edits("pretrain"),
    },
    default_flavour="t2i-lite-sft",
    prediction=Prediction.FLOW,
    latent_channels=16,
    spatial_factor=8,
    packing=Packing.TWO_BY_TWO,
    pixel_multiple=16,
    max_side=2048,  # 128 positions of 16 pixels
    default_resolution=1024,
    guidance=3.5,
    validation_steps=50,
    sigma_sampling="sigmoid",
    shift=3.0,
    lora_targets={
        "attention": _ATTENTION,
        "all": (*_ATTENTION, *_OUT),
        "all+ffs": (*_ATTENTION, *_OUT, *_FF),
    },
    default_targets="attention",
    diffusers_reads_alpha=False,
    supports=frozenset({"max_tokens"}),
)

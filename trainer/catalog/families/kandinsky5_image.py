"""Facts of Kandinsky 5 Image (families.md §3, §4.22)."""

from trainer.catalog.facts import FamilyFacts, Flavour, Packing, Prediction, TextEncoderFact

_ATTENTION = ("to_query", "to_key", "to_value")
_OUT = ("self_attention.out_layer", "cross_attention.out_layer")
_FF = ("feed_forward.in_layer", "feed_forward.out_layer")

FACTS = FamilyFacts(
    key="kandinsky5_image",
    display_name="Kandinsky 5 Image",
    architecture="kandinsky-5-image",
    denoiser_slot="transformer",
    denoiser_class="diffusers.Kandinsky5Transformer3DModel",
    denoiser_config={"visual_cond": False},  # models that look at a picture have more inputs
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
    pipeline_class="diffusers.Kandinsky5T2IPipeline",
    flavours={
        "t2i-lite-sft": Flavour(
            repo="kandinskylab/Kandinsky-5.0-T2I-Lite-sft-Diffusers", licence="MIT"
        ),
        "t2i-lite-pretrain": Flavour(
            repo="kandinskylab/Kandinsky-5.0-T2I-Lite-pretrain-Diffusers", licence="MIT"
        ),
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

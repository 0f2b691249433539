"""Facts of LongCat-Image (families.md §3, §4.18)."""

from trainer.catalog.facts import FamilyFacts, Flavour, Packing, Prediction, TextEncoderFact

_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_ADDED = ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
_CONTEXT_FF = ("ff_context.net.0.proj", "ff_context.net.2")
_FF = ("ff.net.0.proj", "ff.net.2", *_CONTEXT_FF, "proj_mlp", "proj_out")
_NORMS = ("norm.linear", "norm1.linear", "norm1_context.linear")

FACTS = FamilyFacts(
    key="longcat_image",
    display_name="LongCat-Image",
    architecture="longcat-image",
    denoiser_slot="transformer",
    denoiser_class="diffusers.LongCatImageTransformer2DModel",
    vae_class="diffusers.AutoencoderKL",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.Qwen2_5_VLForConditionalGeneration",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.Qwen2Tokenizer",
            max_tokens=512,
        ),
    ),
    processor_slot="text_processor",
    pipeline_class="diffusers.LongCatImagePipeline",
    flavours={
        "final": Flavour(repo="meituan-longcat/LongCat-Image", licence="Apache-2.0"),
        # from the middle of its training: less polished, and meant for fine-tuning
        "dev": Flavour(repo="meituan-longcat/LongCat-Image-Dev", licence="Apache-2.0"),
        "edit": Flavour(
            repo="meituan-longcat/LongCat-Image-Edit",
            licence="Apache-2.0",
            edits=True,
            max_references=1,
            pipeline_class="diffusers.LongCatImageEditPipeline",
            defaults={"validation.guidance": 4.5},
        ),
    },
    default_flavour="final",
    prediction=Prediction.FLOW,
    latent_channels=16,
    spatial_factor=8,
    packing=Packing.TWO_BY_TWO,
    pixel_multiple=16,
    default_resolution=1024,
    guidance=4.0,
    validation_steps=50,
    sigma_sampling="sigmoid",
    shift=3.0,
    lora_targets={
        "attention": _ATTENTION,
        "all": (*_ATTENTION, *_ADDED),
        "all+ffs": (*_ATTENTION, *_ADDED, *_FF),
        "all+ffs+norms": (*_ATTENTION, *_ADDED, *_FF, *_NORMS),
        "context": _ADDED,
    },
    default_targets="attention",
    quant_levels=frozenset({"int8", "fp8"}),
)

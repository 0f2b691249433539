"""Facts of Qwen-Image (families.md §3, §4.16)."""

from trainer.catalog.facts import FamilyFacts, Flavour, Packing, Prediction, TextEncoderFact

_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_ADDED = ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
_FF = ("img_mlp.net.0.proj", "img_mlp.net.2", "txt_mlp.net.0.proj", "txt_mlp.net.2")
_MODULATION = ("img_mod.1", "txt_mod.1")

FACTS = FamilyFacts(
    key="qwen_image",
    display_name="Qwen-Image",
    architecture="qwen-image",
    denoiser_slot="transformer",
    denoiser_class="diffusers.QwenImageTransformer2DModel",
    # the layered model is of the same class and takes several pictures at once
    denoiser_config={"use_additional_t_cond": False, "use_layer3d_rope": False},
    vae_class="diffusers.AutoencoderKLQwenImage",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.Qwen2_5_VLForConditionalGeneration",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.Qwen2Tokenizer",
            max_tokens=1024,
        ),
    ),
    processor_slot="processor",
    pipeline_class="diffusers.QwenImagePipeline",
    flavours={
        "v1.0": Flavour(repo="Qwen/Qwen-Image", licence="Apache-2.0"),
        "v2.0": Flavour(repo="Qwen/Qwen-Image-2512", licence="Apache-2.0"),
        "edit-v1": Flavour(
            repo="Qwen/Qwen-Image-Edit",
            licence="Apache-2.0",
            edits=True,
            max_references=1,
            pipeline_class="diffusers.QwenImageEditPipeline",
        ),
        "edit-v2": Flavour(
            repo="Qwen/Qwen-Image-Edit-2509",
            licence="Apache-2.0",
            edits=True,
            pipeline_class="diffusers.QwenImageEditPlusPipeline",
        ),
        "edit-v3": Flavour(
            repo="Qwen/Qwen-Image-Edit-2511",
            licence="Apache-2.0",
            edits=True,
            pipeline_class="diffusers.QwenImageEditPlusPipeline",
        ),
    },
    default_flavour="v2.0",
    prediction=Prediction.FLOW,
    latent_channels=16,
    spatial_factor=8,
    packing=Packing.TWO_BY_TWO,
    pixel_multiple=32,
    default_resolution=1024,
    guidance=4.0,
    validation_steps=50,
    sigma_sampling="sigmoid",
    shift=3.0,
    lora_targets={
        "attention": _ATTENTION,
        "all": (*_ATTENTION, *_ADDED),
        "all+ffs": (*_ATTENTION, *_ADDED, *_FF),
        "all+ffs+modulation": (*_ATTENTION, *_ADDED, *_FF, *_MODULATION),
    },
    default_targets="attention",
    comfyui_prefix="diffusion_model",
    quant_levels=frozenset({"int8", "nf4"}),
    supports=frozenset({"max_tokens"}),
)

"""Facts of Stable Diffusion 1.x (families.md §3, §4.1)."""

from trainer.catalog.facts import FamilyFacts, Flavour, Prediction, TextEncoderFact

_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_FF = ("ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
_CONVS = ("conv1", "conv2", "conv_shortcut", "conv")

UNET_TARGETS = {
    "attention": _ATTENTION,
    "attention+ffs": (*_ATTENTION, *_FF),
    "attention+ffs+convs": (*_ATTENTION, *_FF, *_CONVS),
}

UNET_LYCORIS = {
    "attention": ("Attention",),
    "attention+ffs": ("Attention", "FeedForward"),
    "transformers": ("Transformer2DModel",),
    "transformers+convs": ("Transformer2DModel", "ResnetBlock2D", "Downsample2D", "Upsample2D"),
}

FACTS = FamilyFacts(
    key="sd1x",
    display_name="Stable Diffusion 1.x",
    architecture="stable-diffusion-v1",
    denoiser_slot="unet",
    denoiser_class="diffusers.UNet2DConditionModel",
    denoiser_config={"addition_embed_type": None, "use_linear_projection": False},
    vae_class="diffusers.AutoencoderKL",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.CLIPTextModel",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.CLIPTokenizer",
            max_tokens=77,
        ),
    ),
    pipeline_class="diffusers.StableDiffusionPipeline",
    flavours={
        "1.5": Flavour(
            repo="stable-diffusion-v1-5/stable-diffusion-v1-5",
            licence="CreativeML Open RAIL-M",
        ),
        "1.4": Flavour(repo="CompVis/stable-diffusion-v1-4", licence="CreativeML Open RAIL-M"),
        "dreamshaper": Flavour(repo="Lykon/dreamshaper-8", licence="CreativeML Open RAIL-M"),
    },
    default_flavour="1.5",
    prediction=Prediction.EPSILON,
    latent_channels=4,
    spatial_factor=8,
    pixel_multiple=64,
    default_resolution=512,
    guidance=7.5,
    validation_steps=28,
    lora_targets=UNET_TARGETS,
    default_targets="attention",
    lycoris_targets=UNET_LYCORIS,
    attention_kernels=False,
    supports=frozenset({"controlnet"}),
    quant_levels=frozenset({"int8", "nf4"}),
)

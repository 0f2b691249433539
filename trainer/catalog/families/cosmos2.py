"""Facts of Cosmos-Predict2 Text2Image (families.md §3, §4.21).

Kin of the same class are told apart by their configuration: Cosmos 1 adds a learned position to
every block, Predict2.5 projects its text, and the models for films take more channels.
"""

from trainer.catalog.facts import FamilyFacts, Flavour, Packing, Prediction, TextEncoderFact

_LICENCE = "NVIDIA Open Model License"
_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_FF = ("ff.net.0.proj", "ff.net.2")

FACTS = FamilyFacts(
    key="cosmos2",
    display_name="Cosmos-Predict2",
    architecture="cosmos-predict2-text2image",
    denoiser_slot="transformer",
    denoiser_class="diffusers.CosmosTransformer3DModel",
    denoiser_config={
        "concat_padding_mask": True,
        "extra_pos_embed_type": None,
        "use_crossattn_projection": False,
    },
    vae_class="diffusers.AutoencoderKLWan",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.T5EncoderModel",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.T5TokenizerFast",
            max_tokens=512,
        ),
    ),
    pipeline_class="diffusers.Cosmos2TextToImagePipeline",
    flavours={
        size.lower(): Flavour(
            repo=f"nvidia/Cosmos-Predict2-{size}-Text2Image",
            licence=_LICENCE,
            gated=True,
        )
        for size in ("2B", "14B")
    },
    default_flavour="2b",
    prediction=Prediction.FLOW,
    latent_channels=16,
    spatial_factor=8,
    packing=Packing.TWO_BY_TWO,
    pixel_multiple=16,
    default_resolution=1024,
    guidance=7.0,
    validation_steps=35,
    sigma_sampling="sigmoid",
    shift=4.0,  # NVIDIA's own training draws its noise-to-signal ratio around 4
    lora_targets={"attention": _ATTENTION, "attention+ffs": (*_ATTENTION, *_FF)},
    default_targets="attention",
    comfyui_prefix="diffusion_model",
    comfyui_names=(
        ("transformer_blocks.", "blocks."),
        (".attn1.", ".self_attn."),
        (".attn2.", ".cross_attn."),
        (".to_q", ".q_proj"),
        (".to_k", ".k_proj"),
        (".to_v", ".v_proj"),
        (".to_out.0", ".output_proj"),
        (".ff.net.0.proj", ".mlp.layer1"),
        (".ff.net.2", ".mlp.layer2"),
    ),
    supports=frozenset({"max_tokens"}),
)

"""Facts of Sana (families.md §3, §4.12)."""

from typing import Any

from trainer.catalog.facts import FamilyFacts, Flavour, Prediction, TextEncoderFact

_LICENCE = "NVIDIA License (NSCL v2-custom)"
_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_FF = ("conv_inverted", "conv_point")  # the one between them has a filter for each channel


def _flavour(name: str, **defaults: Any) -> Flavour:
    return Flavour(
        repo=f"Efficient-Large-Model/{name}_diffusers",
        licence=_LICENCE,
        defaults={path.replace("__", "."): value for path, value in defaults.items()},
    )


FACTS = FamilyFacts(
    key="sana",
    display_name="Sana",
    architecture="sana",
    denoiser_slot="transformer",
    denoiser_class="diffusers.SanaTransformer2DModel",
    denoiser_config={"guidance_embeds": None},  # Sprint is distilled, with an input of its own
    vae_class="diffusers.AutoencoderDC",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.Gemma2Model",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.GemmaTokenizer",
            max_tokens=300,
        ),
    ),
    pipeline_class="diffusers.SanaPipeline",
    flavours={
        "sana1.5-1.6b-1024": _flavour("SANA1.5_1.6B_1024px"),
        "sana1.5-4.8b-1024": _flavour("SANA1.5_4.8B_1024px"),
        # These two repositories call their files after their precision.
        "sana1.0-1.6b-1024": _flavour("Sana_1600M_1024px_BF16", model__variant="bf16"),
        "sana1.0-1.6b-2048": _flavour(
            "Sana_1600M_2Kpx_BF16",
            model__variant="bf16",
            data__defaults__resolution="2048px2",
        ),
        "sana1.0-600m-1024": _flavour("Sana_600M_1024px"),
        "sana1.0-600m-512": _flavour("Sana_600M_512px", data__defaults__resolution="512px2"),
    },
    default_flavour="sana1.5-1.6b-1024",
    prediction=Prediction.FLOW,
    latent_channels=32,
    spatial_factor=32,
    latent_multiple=1,
    latent_stat="mean",
    vae_deterministic=True,
    vae_fp32=True,
    pixel_multiple=32,
    default_resolution=1024,
    guidance=4.5,
    validation_steps=20,
    sigma_sampling="sigmoid",
    shift=3.0,
    lora_targets={"attention": _ATTENTION, "attention+ffs": (*_ATTENTION, *_FF)},
    default_targets="attention",
    lycoris_targets={"attention": ("Attention",)},
    layouts=("diffusers",),  # ComfyUI itself does not run it
    diffusers_reads_alpha=False,
    supports=frozenset({"max_tokens"}),
)

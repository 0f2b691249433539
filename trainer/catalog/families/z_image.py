"""Facts of Z-Image (families.md §3, §4.17).

Turbo is distilled to eight steps. Its adapters are trained beside an assistant adapter that undoes
the distillation while it is there (`adapters/assistant.py`), or on weights without it.
"""

from typing import Any

from trainer.catalog.facts import FamilyFacts, Flavour, Packing, Prediction, TextEncoderFact

_LICENCE = "Apache-2.0"
_TURBO = "Tongyi-MAI/Z-Image-Turbo"
_ADAPTER = "ostris/zimage_turbo_training_adapter"
_FEW_STEPS = {"validation.steps": 8, "validation.guidance": 0.0}
_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_FF = ("feed_forward.w1", "feed_forward.w2", "feed_forward.w3")
# By name of the block: the last layer has an activation, not weights, under the same ending.
_MODULATION = (
    *(f"layers.{n}.adaLN_modulation.0" for n in range(30)),
    *(f"noise_refiner.{n}.adaLN_modulation.0" for n in range(2)),
)


def _turbo(version: int) -> Flavour:
    assistant: dict[str, Any] = {
        "model.assistant.path": _ADAPTER,
        "model.assistant.weight_name": f"zimage_turbo_training_adapter_v{version}.safetensors",
    }
    return Flavour(repo=_TURBO, licence=_LICENCE, defaults=_FEW_STEPS | assistant)


FACTS = FamilyFacts(
    key="z_image",
    display_name="Z-Image",
    architecture="z-image",
    denoiser_slot="transformer",
    denoiser_class="diffusers.ZImageTransformer2DModel",
    denoiser_config={"siglip_feat_dim": None},  # the Omni models look at pictures as well
    vae_class="diffusers.AutoencoderKL",
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class="transformers.Qwen3Model",
            tokenizer_slot="tokenizer",
            tokenizer_class="transformers.Qwen2Tokenizer",
            max_tokens=512,
        ),
    ),
    pipeline_class="diffusers.ZImagePipeline",
    flavours={
        "turbo-ostris-v2": _turbo(2),
        "turbo": _turbo(1),
        "base": Flavour(repo="Tongyi-MAI/Z-Image", licence=_LICENCE),
        # Turbo without its distillation: sampled like the base, trained without an assistant.
        "ostris-de-turbo": Flavour(
            repo=_TURBO,
            licence=_LICENCE,
            defaults={
                "model.components.denoiser.path": "ostris/Z-Image-De-Turbo",
                "validation.steps": 25,
                "validation.guidance": 2.0,
            },
        ),
    },
    default_flavour="turbo-ostris-v2",
    prediction=Prediction.FLOW,
    latent_channels=16,
    spatial_factor=8,
    packing=Packing.TWO_BY_TWO,
    pixel_multiple=32,
    default_resolution=1024,
    guidance=4.0,
    validation_steps=30,
    sigma_sampling="sigmoid",
    shift=3.0,
    lora_targets={
        "attention": _ATTENTION,
        "attention+ffs": (*_ATTENTION, *_FF),
        "all": (*_ATTENTION, *_FF, *_MODULATION),
    },
    default_targets="attention",
    comfyui_prefix="diffusion_model",
    supports=frozenset({"max_tokens"}),
)

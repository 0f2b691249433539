"""Facts of Kolors (families.md §3, §4.3): the UNet of SDXL, told what to draw by ChatGLM3."""

from dataclasses import replace

from trainer.catalog.facts import Flavour, TextEncoderFact
from trainer.catalog.families.sdxl import FACTS as SDXL

_LICENCE = "Kolors MODEL_LICENSE: free for research, commercial use after registration"
_CHATGLM = "diffusers.pipelines.kolors"

FACTS = replace(
    SDXL,
    key="kolors",
    display_name="Kolors",
    architecture="kolors-v1",
    denoiser_config={"addition_embed_type": "text_time", "encoder_hid_dim_type": "text_proj"},
    text_encoders=(
        TextEncoderFact(
            slot="text_encoder",
            model_class=f"{_CHATGLM}.text_encoder.ChatGLMModel",
            tokenizer_slot="tokenizer",
            tokenizer_class=f"{_CHATGLM}.tokenizer.ChatGLMTokenizer",
            max_tokens=256,
        ),
    ),
    pipeline_class="diffusers.KolorsPipeline",
    flavours={
        "1.0": Flavour(
            repo="Kwai-Kolors/Kolors-diffusers",
            licence=_LICENCE,
            defaults={"model.variant": "fp16"},  # the repository has no other weights
        ),
    },
    default_flavour="1.0",
    quant_levels=frozenset(),
    supports=frozenset(),
    guidance=5.0,
    validation_steps=50,
)

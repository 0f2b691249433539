"""Facts of Flux.2 (families.md §3, §4.9).

dev reads its text with Mistral, klein with Qwen; the pipeline class tells which a checkpoint is.
"""

from trainer.catalog.facts import FamilyFacts, Flavour, Prediction, TextEncoderFact

_NON_COMMERCIAL = "FLUX Non-Commercial License"
_ATTENTION = ("attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0", "attn.to_qkv_mlp_proj")
_ADDED = ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
_FF = tuple(f"{ff}.linear_{end}" for ff in ("ff", "ff_context") for end in ("in", "out"))
# by number: the double blocks have something else under the name `attn.to_out`
_SINGLE_OUT = tuple(f"single_transformer_blocks.{n}.attn.to_out" for n in range(48))


def _text(pipeline: str, model: str, tokenizer: str) -> TextEncoderFact:
    return TextEncoderFact(
        slot="text_encoder",
        model_class=f"transformers.{model}",
        tokenizer_slot="tokenizer",
        tokenizer_class=f"transformers.{tokenizer}",
        max_tokens=512,
        pipeline=pipeline,
        states=3,
    )


def _flavour(name: str, licence: str, gated: bool) -> Flavour:
    repo = f"black-forest-labs/FLUX.2-{name}"
    return Flavour(repo=repo, licence=licence, gated=gated)


FACTS = FamilyFacts(
    key="flux2",
    display_name="Flux.2",
    architecture="flux-2",
    denoiser_slot="transformer",
    denoiser_class="diffusers.Flux2Transformer2DModel",
    vae_class="diffusers.AutoencoderKLFlux2",
    text_encoders=(
        _text("Flux2KleinPipeline", "Qwen3ForCausalLM", "Qwen2TokenizerFast"),
        _text("Flux2Pipeline", "Mistral3ForConditionalGeneration", "PreTrainedTokenizerFast"),
    ),
    pipeline_class="diffusers.Flux2KleinPipeline",
    flavours={
        "klein-4b": _flavour("klein-base-4B", "Apache-2.0", gated=False),
        "klein-9b": _flavour("klein-base-9B", _NON_COMMERCIAL, gated=True),
        "dev": _flavour("dev", "FLUX.2 [dev] Non-Commercial License", gated=True),
    },
    default_flavour="klein-4b",
    prediction=Prediction.FLOW,
    latent_channels=128,
    spatial_factor=16,
    latent_stat="mean",
    pixel_multiple=16,
    default_resolution=1024,
    guidance=4.0,
    validation_steps=50,
    sigma_sampling="sigmoid",
    shift=3.0,
    lora_targets={
        "attention": _ATTENTION,
        "all": (*_ATTENTION, *_ADDED),
        "all+ffs": (*_ATTENTION, *_ADDED, *_FF, *_SINGLE_OUT),
        "context": _ADDED,
    },
    default_targets="attention",
    diffusers_reads_alpha=False,
    quant_levels=frozenset({"int8", "fp8", "nf4"}),
    supports=frozenset({"max_tokens"}),
)

"""Options about the job's identity, the model, its components, and of single families."""

from __future__ import annotations

from trainer.catalog import FAMILIES, family_facts
from trainer.catalog.facts import Prediction
from trainer.config.importers.simpletuner.options.rule import (
    Rule,
    direct,
    dropped,
    handled,
    lacking,
)

FLOW = tuple(k for k in FAMILIES if family_facts(k).prediction is Prediction.FLOW)
TRANSFORMER = tuple(k for k in FAMILIES if family_facts(k).denoiser_slot == "transformer")
FLUX = ("flux",)
FLUX_LIKE = ("flux", "chroma")
UNET = ("sd1x", "sd2x", "sdxl", "kolors", "deepfloyd")
DISCRETE = (*UNET, "pixart")  # families with a discrete noise schedule
_UI = "a setting of the web interface"
_ENCODER = "text encoders come from model.path"
_CONTROL = "adapters with further input channels are not trained here"
_GROUNDING = "grounding is not trained here"

JOB: dict[str, Rule] = {
    "output_dir": handled("simpletuner-results"),
    "seed": handled(),
    "seed_for_each_device": dropped("every sample has its own random stream, on any device"),
    "i_know_what_i_am_doing": dropped("checkpoint.allow names each difference that is meant"),
    "configs_dir": dropped(_UI),
    "merge_environment_config": dropped(_UI),
    "cache_dir": handled(),
    "local_rank": dropped("set by the launcher"),
}

MODEL: dict[str, Rule] = {
    "model_family": handled(),
    "model_flavour": handled(),
    "model_type": handled("full"),
    "pretrained_model_name_or_path": handled(),
    "revision": handled(),
    "variant": direct("model.variant", "text"),
    "pretrained_transformer_model_name_or_path": handled(families=TRANSFORMER),
    "pretrained_transformer_subfolder": handled("transformer", families=TRANSFORMER),
    "pretrained_unet_model_name_or_path": handled(families=UNET),
    "pretrained_unet_subfolder": handled("unet", families=UNET),
    "pretrained_vae_model_name_or_path": handled(),
    "vae_dtype": handled("bf16"),
    "pretrained_t5_model_name_or_path": lacking(_ENCODER, families=FLUX_LIKE),
    "pretrained_gemma_model_name_or_path": lacking(_ENCODER, families=("lumina2", "sana")),
    "qwen_text_encoder_model_name_or_path": lacking(_ENCODER, families=("qwen_image",)),
    "controlnet_model_name_or_path": handled(gate="controlnet"),
    "trust_remote_code": lacking("code of a repository is never run", False),
    "delete_model_after_load": lacking("downloaded weights are kept", False),
    "prediction_type": handled(),
    "rescale_betas_zero_snr": handled(False, families=DISCRETE),
    "framerate": lacking("a default of video families; data.defaults.video.fps sets one"),
    "tokenizer_max_length": handled(),
    "t5_padding": lacking("padding of the text is left as it is", "unmodified", families=FLUX_LIKE),
    "custom_text_encoder_intermediary_layers": handled(families=("flux2",)),
    "controlnet": handled(False),
    "control": lacking(_CONTROL, False),
    "controlnet_custom_config": lacking(
        "model.controlnet.layers and single_layers set the size", gate="controlnet"
    ),
    "max_grounding_entities": lacking(_GROUNDING, 0),
    "pretrained_grounding_model_name_or_path": lacking(_GROUNDING, gate="max_grounding_entities"),
    "refiner_training": handled(False),
    "refiner_training_invert_schedule": handled(False),
    "refiner_training_strength": handled(0.2),
}


def _of(family: str, *names: str) -> dict[str, Rule]:
    """Options that act on a family which is not trained here."""
    return {name: lacking(f"an option of {family}", families=(family,)) for name in names}


FAMILY: dict[str, Rule] = {
    "flux_lora_target": handled("all", families=FLUX_LIKE),
    "flux_attention_masked_training": direct(
        "model.options.flux.attention_mask", "bool", families=FLUX
    ),
    "flux_fast_schedule": lacking(
        "noise levels are not drawn from a fixed list", False, families=FLUX_LIKE
    ),
    "flux_guidance_mode": handled("constant", families=FLUX),
    "flux_guidance_value": handled(1.0, families=FLUX),
    "flux_guidance_min": handled(0.0, families=FLUX),
    "flux_guidance_max": handled(4.0, families=FLUX),
    "fuse_qkv_projections": dropped("a matter of speed; the result is the same"),
    "sdxl_refiner_uses_full_range": handled(False, families=("sdxl",)),
    "data_aesthetic_score": handled(7.0, families=("sdxl",)),
    **_of("ace_step", "acestep_lora_target", "lyrics_embedder_train", "lyrics_embedder_optimizer"),
    **_of("ace_step", "lyrics_embedder_lr", "lyrics_embedder_lr_scheduler"),
    **_of("cosmos3", "cosmos3_reasoner_component", "cosmos3_generator_component"),
    "hidream_use_load_balancing_loss": handled(False, families=("hidream",)),
    "hidream_load_balancing_loss_weight": handled(
        0.01, gate="hidream_use_load_balancing_loss", families=("hidream",)
    ),
    **_of("ideogram", "ideogram_auto_json", "ideogram_validation", "ideogram_prompt_upsample"),
    **_of("ideogram", "ideogram_prompt_enhancer_head_id", "ideogram_fp8_base_upcast"),
    **_of("ideogram", "ideogram_schedule_mu", "ideogram_schedule_std", "ideogram_uncond_ramtorch"),
    **_of("ideogram", "ideogram_load_unconditional_transformer"),
    **_of("krea2", "krea2_reference_latents"),
    **_of("ltxvideo", "ltx_train_mode", "ltx_i2v_prob", "ltx_partial_noise_fraction"),
    **_of("ltxvideo", "ltx_protect_first_frame"),
    **_of("ltxvideo2", "ltx2_intrinsic_conditioning", "ltx2_first_frame_conditioning_probability"),
    **_of("ltxvideo2", "ltx2_prefix_conditioning_probability", "ltx2_prefix_conditioning_frames"),
    **_of("ltxvideo2", "ltx2_suffix_conditioning_probability", "ltx2_suffix_conditioning_frames"),
    **_of("ltxvideo2", "ltx2_mask_conditioning_probability", "ltx2_reference_spatial_scale_factor"),
    **_of("ltxvideo2", "ltx2_reference_temporal_scale_factor"),
    **_of("minimaxh3", "minimax_h3_reference_mode", "minimax_h3_target_mode"),
    **_of("minimaxh3", "minimax_h3_sparse_attention", "minimax_h3_sparse_block_shape"),
    **_of("minimaxh3", "minimax_h3_sparse_video_kv_fraction", "minimax_h3_sparse_share_heads"),
    **_of("minimaxh3", "minimax_h3_sparse_start_layer"),
    **_of("minimaxmusic", "minimax_music_train_component", "minimax_music_lm_adapter"),
    **_of("minimaxmusic", "minimax_music_lm_adapter_strength", "minimax_music_lm_precache_mode"),
    **_of("minimaxmusic", "minimax_music_lm_max_frames"),
    "sana_complex_human_instruction": direct(
        "model.options.sana.instruction", "text", families=("sana",)
    ),
    **_of("sd3", "sd3_clip_uncond_behaviour", "sd3_t5_uncond_behaviour"),
    **_of("wan", "wan_force_2_1_time_embedding"),
    **_of("wan", "enable_chunked_feed_forward", "feed_forward_chunk_size"),
}

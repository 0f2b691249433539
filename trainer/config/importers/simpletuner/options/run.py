"""Options about data, caches, checkpoints, validation, evaluation, trackers and publishing."""

from __future__ import annotations

from trainer.config.importers.simpletuner.options.rule import (
    Rule,
    direct,
    dropped,
    handled,
    lacking,
)

_NEVER_DELETE = "source files are never changed or deleted"
_AUTOMATIC = "done automatically: what changed is told by fingerprints"
_NSFW = "pictures are not classified here"
_STORE = "one store, below cache.root, holds everything that is encoded"
_OWN_POOL = "a matter of speed, decided here"
_TIMES = "intervals are counted in steps here"
_PICTURES = "an option of validation pictures that is not offered here; training is the same"
_SCRIPT = "no scripts are started from a job"
_HUB = "nothing is uploaded from a job"
_TRACK = "scalars, pictures and events are kept with the run; no tracker is fed"
_DISK = "a full disk ends the run with its newest checkpoint intact"

DATA: dict[str, Rule] = {
    "data_backend_config": handled(),
    "resolution_type": handled("pixel_area"),
    "aspect_bucket_rounding": lacking("ratios are rounded to two digits", 2),
    "aspect_bucket_alignment": handled(64),
    "minimum_image_size": handled(),
    "maximum_image_size": handled(),
    "target_downsample_size": handled(),
    "max_upscale_threshold": dropped("SimpleTuner's loader never reads it"),
    "caption_strategy": handled("filename"),
    "instance_prompt": handled(),
    "prepend_instance_prompt": handled(False),
    "only_instance_prompt": handled(False),
    "disable_multiline_split": handled(False),
    "caption_dropout_probability": handled(0.1),
    "parquet_caption_column": handled(),
    "parquet_filename_column": handled(),
    "conditioning_multidataset_sampling": handled("random"),
    "data_backend_sampling": handled("auto-weighting"),
    "audio_max_duration_seconds": handled(),
    "audio_min_duration_seconds": handled(),
    "audio_channels": handled(1),
    "audio_duration_interval": handled(3.0),
    "audio_truncation_mode": handled("beginning"),
    "disable_bucket_pruning": dropped("small buckets are never dropped"),
    "allow_dataset_oversubscription": dropped("a bucket smaller than a batch is filled up anyway"),
    "ignore_missing_files": dropped("files that are gone leave the index at the next scan"),
    "delete_unwanted_images": dropped(_NEVER_DELETE),
    "delete_problematic_images": dropped(_NEVER_DELETE),
    "override_dataset_config": dropped(_AUTOMATIC),
    "skip_file_discovery": dropped(_AUTOMATIC),
    "preserve_data_backend_cache": dropped(_AUTOMATIC),
    "metadata_update_interval": dropped("the index is written continuously"),
    "aspect_bucket_disable_rebuild": dropped(_AUTOMATIC),
    "aspect_bucket_worker_count": dropped(_OWN_POOL),
    "enable_multiprocessing": dropped(_OWN_POOL),
    "image_processing_batch_size": dropped(_OWN_POOL),
    "max_workers": dropped(_OWN_POOL),
    "dataloader_prefetch": handled(False),
    "dataloader_prefetch_qlen": handled(10),
    "aws_max_pool_connections": dropped(_OWN_POOL),
    "enable_nsfw_check": lacking(_NSFW, False),
    "nsfw_check_models": lacking(_NSFW, gate="enable_nsfw_check"),
    "nsfw_check_min_votes": lacking(_NSFW, gate="enable_nsfw_check"),
    "nsfw_check_backend_types": lacking(_NSFW, gate="enable_nsfw_check"),
    "nsfw_check_sample_types": lacking(_NSFW, gate="enable_nsfw_check"),
    "delete_nsfw_images": dropped(_NEVER_DELETE),
    "nsfw_check_video_frame_count": lacking(_NSFW, gate="enable_nsfw_check"),
    "nsfw_check_video_frame_selection": lacking(_NSFW, gate="enable_nsfw_check"),
    "nsfw_check_video_min_flagged_frames": lacking(_NSFW, gate="enable_nsfw_check"),
}

CACHE: dict[str, Rule] = {
    "cache_dir_vae": dropped(_STORE),
    "cache_dir_text": dropped(_STORE),
    "vae_cache_ondemand": dropped("everything is encoded before the first step"),
    "vae_cache_disable": dropped("everything is encoded before the first step"),
    "text_cache_ondemand": dropped("everything is encoded before the first step"),
    "text_cache_disable": dropped("everything is encoded before the first step"),
    "text_embed_full_cache": dropped(_STORE),
    "compress_disk_cache": dropped("the store is read by position and not compressed"),
    "vae_cache_scan_behaviour": dropped(_AUTOMATIC),
    "vae_batch_size": direct("cache.batch_size", "int"),
    "text_encoder_batch_size": dropped(_OWN_POOL),
    "write_batch_size": dropped(_OWN_POOL),
    "read_batch_size": dropped(_OWN_POOL),
}

CHECKPOINT: dict[str, Rule] = {
    "checkpoint_step_interval": handled(500),
    "checkpoint_epoch_interval": lacking(_TIMES),
    "checkpoints_total_limit": handled(5),
    "checkpointing_rolling_steps": lacking("checkpoints have one interval here", 0),
    "checkpoints_rolling_total_limit": lacking(
        "checkpoints have one interval here", gate="checkpointing_rolling_steps"
    ),
    "checkpointing_use_tempdir": dropped("checkpoints always appear whole"),
    "resume_from_checkpoint": handled("latest"),
    "delete_invalid_checkpoints": dropped("a damaged checkpoint is set aside, never resumed from"),
    "disk_low_threshold": lacking(_DISK),
    "disk_low_action": lacking(_DISK, gate="disk_low_threshold"),
    "disk_low_script": lacking(_DISK, gate="disk_low_threshold"),
}

_STAGES = (
    *("deepfloyd_validation_pipeline_mode", "deepfloyd_validation_stage1_model"),
    *("deepfloyd_validation_stage2_model", "deepfloyd_validation_stage3_mode"),
    *("deepfloyd_validation_stage3_model", "deepfloyd_validation_stage1_num_inference_steps"),
    *("deepfloyd_validation_stage2_num_inference_steps", "deepfloyd_validation_stage1_guidance"),
    *("deepfloyd_validation_stage2_guidance", "deepfloyd_validation_stage3_guidance"),
    *("deepfloyd_validation_stage3_noise_level", "ltx2_validation_pipeline_mode"),
    *("ltx2_validation_spatial_upsampler_model", "ltx2_validation_spatial_upsampler_filename"),
    *("ltx2_validation_audio_guidance", "wan_validation_load_other_stage"),
)
_FAMILY_OF = {"ltx2": "ltxvideo2"}


def _stage(name: str) -> Rule:
    family = _FAMILY_OF.get(prefix := name.split("_")[0], prefix)
    return lacking(f"an option of {family}", families=(family,))


VALIDATION: dict[str, Rule] = {
    "validation_disable": handled(False),
    "validation_step_interval": handled(100),
    "validation_epoch_interval": lacking(_TIMES),
    "validate_after_step": lacking("validation begins with the run", 0),
    "validate_after_epoch": lacking("validation begins with the run", 0),
    "validation_on_startup": handled(False),
    "disable_benchmark": handled(False),
    "validation_prompt": handled(),
    "validation_prompt_library": lacking("there is no built-in prompt library", False),
    "user_prompt_library": handled(),
    "validation_negative_prompt": handled("blurry, cropped, ugly"),
    "validation_input": lacking(_PICTURES),
    "validation_lyrics": lacking(_PICTURES, families=("ace_step", "minimaxmusic")),
    "validation_audio_duration": lacking(_PICTURES, families=("ace_step", "minimaxmusic")),
    "validation_audio_only": lacking(_PICTURES, families=("ltxvideo2",)),
    "num_validation_images": handled(1),
    "validation_resolution": handled("256"),
    "validation_num_inference_steps": handled(30),
    "validation_num_video_frames": lacking(_PICTURES),
    "validation_guidance": handled(7.5),
    "validation_guidance_real": lacking(_PICTURES, 1.0, families=("flux",)),
    "validation_no_cfg_until_timestep": lacking(
        _PICTURES, gate="validation_guidance_real", families=("flux",)
    ),
    "validation_guidance_rescale": lacking(_PICTURES, 0.0, families=("sdxl", "sd1x", "sd2x")),
    "validation_guidance_skip_layers": lacking(_PICTURES),
    "validation_guidance_skip_layers_start": lacking(
        _PICTURES, gate="validation_guidance_skip_layers"
    ),
    "validation_guidance_skip_layers_stop": lacking(
        _PICTURES, gate="validation_guidance_skip_layers"
    ),
    "validation_guidance_skip_scale": lacking(_PICTURES, gate="validation_guidance_skip_layers"),
    "validation_noise_scheduler": lacking(
        "pictures are drawn with the model's own scheduler; training is the same"
    ),
    "validation_seed": handled(),
    "validation_seed_source": lacking("noise of pictures is drawn on the CPU", "cpu"),
    "validation_randomize": lacking("pictures have one seed, so that they can be compared", False),
    "validation_disable_unconditional": handled(False),
    "validation_using_datasets": lacking(_PICTURES, False),
    "validation_stitch_input_location": dropped(_PICTURES),
    "validation_multigpu": dropped("one process trains here"),
    "validation_preview": lacking(_PICTURES, False),
    "validation_preview_steps": lacking(_PICTURES, gate="validation_preview"),
    "validation_image_format": lacking("pictures are PNG files", "png"),
    "validation_image_quality": lacking("pictures are PNG files", gate="validation_image_format"),
    "validation_lycoris_strength": handled(1.0),
    "validation_adapter_path": handled(),
    "validation_adapter_name": handled(gate="validation_adapter_path"),
    "validation_adapter_strength": handled(1.0, gate="validation_adapter_path"),
    "validation_adapter_mode": handled("adapter_only"),
    "validation_adapter_config": handled(),
    "validation_method": lacking(_SCRIPT, "simpletuner-local"),
    "validation_external_script": lacking(_SCRIPT),
    "validation_external_background": lacking(_SCRIPT, gate="validation_external_script"),
    "enable_watermark": dropped("pictures carry no watermark"),
    **{name: _stage(name) for name in _STAGES},
    "validation_ltx2_video_conditioning": lacking(
        "an option of ltxvideo2", families=("ltxvideo2",)
    ),
    **{
        f"{family}_validation_{name}": handled(default, families=(family,))
        for family in ("pixart", "sdxl")
        for name, default in (
            ("pipeline_mode", "trained-stage"),
            ("stage1_model", None),
            ("stage2_model", None),
        )
    },
}

EVALUATION: dict[str, Rule] = {
    "evaluation_type": lacking(
        "the held-out loss and the style distance are measured here", "none"
    ),
    "pretrained_evaluation_model_name_or_path": lacking(
        "CLIP scores are not measured here", gate="evaluation_type"
    ),
    "num_eval_images": handled(4),
    "eval_steps_interval": handled(),
    "eval_epoch_interval": lacking(_TIMES),
    "eval_timesteps": handled(28),
    "eval_dataset_pooling": dropped("one figure is measured over all held-out datasets"),
    "eval_loss_disable": handled(False),
    "eval_dataset_id": handled(),
}

TRACKING: dict[str, Rule] = {
    "report_to": lacking(_TRACK, "none", "simpletuner"),
    "tracker_project_name": dropped(_TRACK),
    "tracker_run_name": handled("simpletuner-testing"),
    "tracker_image_layout": dropped(_TRACK),
    "custom_tracker": lacking(_TRACK),
    "logging_dir": dropped("logs lie in the run directory"),
    "webhook_config": lacking("messages are sent by the daemon, not by a job"),
    "webhook_reporting_interval": lacking(
        "messages are sent by the daemon, not by a job", gate="webhook_config"
    ),
    "push_to_hub": lacking(_HUB, False),
    "push_checkpoints_to_hub": lacking(_HUB, False, gate="push_to_hub"),
    "push_to_hub_background": lacking(_HUB, False, gate="push_to_hub"),
    "hub_model_id": lacking(_HUB, gate="push_to_hub"),
    "model_card_private": lacking(_HUB, gate="push_to_hub"),
    "model_card_safe_for_work": lacking(_HUB, gate="push_to_hub"),
    "model_card_note": lacking(_HUB, gate="push_to_hub"),
    "modelspec_comment": lacking("adapter files carry no free comment"),
    "publishing_config": lacking(_HUB),
    "post_checkpoint_script": lacking(_SCRIPT),
    "post_upload_script": lacking(_SCRIPT),
}

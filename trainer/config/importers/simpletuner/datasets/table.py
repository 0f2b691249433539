"""Keys of dataset entries that need no thought: not needed here, or without counterpart."""

from __future__ import annotations

_STORE = "one store, below cache.root, holds everything that is encoded"
_AUTOMATIC = "done automatically: what changed is told by fingerprints"
_OWN_POOL = "a matter of speed, decided here"
_HEADERS = "read from the files themselves"
_NEVER_DELETE = "source files are never changed or deleted"
_FIRST = "everything is encoded before the first step"

DROPPED: dict[str, str] = {
    "cache_file_suffix": _STORE,
    "cache_dir": _STORE,
    "cache_dir_vae": _STORE,
    "cache_dir_conditioning_image_embeds": _STORE,
    "compress_cache": _STORE,
    "image_embeds": _STORE,
    "text_embeds": "its caption filters, if it has any, are those of this dataset",
    "conditioning_image_embeds": _STORE,
    "conditioning_image_embed_batch_size": _OWN_POOL,
    "vae_cache_ondemand": _FIRST,
    "vae_cache_disable": _FIRST,
    "text_cache_ondemand": _FIRST,
    "text_cache_disable": _FIRST,
    "skip_file_discovery": _AUTOMATIC,
    "preserve_data_backend_cache": _AUTOMATIC,
    "scan_for_errors": _AUTOMATIC,
    "vae_cache_scan_behaviour": _AUTOMATIC,
    "metadata_update_interval": "the index is written continuously",
    "delete_unwanted_images": _NEVER_DELETE,
    "delete_problematic_images": _NEVER_DELETE,
    "delete_nsfw_images": _NEVER_DELETE,
    "read_batch_size": _OWN_POOL,
    "write_batch_size": _OWN_POOL,
    "image_processing_batch_size": _OWN_POOL,
    "vae_batch_size": _OWN_POOL,
    "text_encoder_batch_size": _OWN_POOL,
    "max_workers": _OWN_POOL,
    "num_proc": _OWN_POOL,
    "hash_filenames": "SimpleTuner ignores it as well",
    "ignore_epochs": "SimpleTuner ignores it as well",
    "disable_validation": "validation draws from prompts alone",
    "max_upscale_threshold": "SimpleTuner's loader never reads it",
    "aws_max_pool_connections": _OWN_POOL,
    "csv_cache_dir": _STORE,
    "auto_load": _AUTOMATIC,
    "parquet.width_column": _HEADERS,
    "parquet.height_column": _HEADERS,
    "parquet.aspect_ratio_column": _HEADERS,
    "parquet.num_frames_column": _HEADERS,
    "parquet.fps_column": _HEADERS,
    "parquet.audio_duration_column": _HEADERS,
    "parquet.audio_sample_rate_column": _HEADERS,
    "parquet.audio_channels_column": _HEADERS,
    "parquet.audio_num_samples_column": _HEADERS,
    "huggingface.width_column": _HEADERS,
    "huggingface.height_column": _HEADERS,
    "huggingface.num_frames_column": _HEADERS,
    "huggingface.fps_column": _HEADERS,
    "huggingface.file_extension": _HEADERS,
    "webshart.cache_dir": _STORE,
    "webshart.shard_cache_gb": _STORE,
    "webshart.parallel_downloads": _OWN_POOL,
    "webshart.buffer_size": _OWN_POOL,
    "webshart.max_file_size": _OWN_POOL,
    "webshart.optimize_captions": _AUTOMATIC,
    "webshart.metadata": "the index of the shards is made here",
    "metadata": "the index of the shards is made here",
}

_GROUNDING = "grounding is not trained here"

LACKING: dict[str, tuple[str, tuple[object, ...]]] = {
    "vae_cache_clear_each_epoch": (
        "random crops are drawn once; crop.variants makes several of each picture",
        (False,),
    ),
    "disable_after_epoch_step": ("active.to_step ends a dataset at once, not slowly", ()),
    "streaming": ("the dataset is read from disk", (False,)),
    "s2v_datasets": ("sound is not paired with videos here", ()),
    "audio_caption_fields": ("captions are not put together from fields", ()),
    "parquet.bbox_column": (_GROUNDING, ()),
    "parquet.lyrics_column": ("lyrics are read from files", ()),
    "huggingface.bbox_column": (_GROUNDING, ()),
    "huggingface.description_column": ("captions come from caption.column", ()),
    "huggingface.audio_caption_fields": ("captions are not put together from fields", ()),
    "huggingface.lyrics_column": ("lyrics are read from files", ()),
    "huggingface.composite_image_config.enabled": ("pictures are not cut apart here", (False,)),
    "webshart.subfolder": ("name the sub-folder in source.path", ()),
    "subfolder": ("name the sub-folder in source.path", ()),
    "video.is_i2v": ("a first frame is given with conditioning", (False,)),
    "video.bucket_strategy": ("clips are sorted by size and frames", ("aspect_ratio",)),
    "audio.bucket_strategy": ("recordings are sorted by duration", ("duration",)),
    "audio.auto_split": ("sound is not cut out of videos here", (False,)),
    "audio.source_from_video": ("sound is not cut out of videos here", (False,)),
    "audio.allow_zero_audio": ("sound is not cut out of videos here", (False,)),
    "audio.audio_only": ("sound is not cut out of videos here", (False,)),
    "audio.target_resolution": ("sound is not cut out of videos here", ()),
    "audio.lyrics_filename_format": ("audio.lyrics_suffix names the files with lyrics", ()),
    "audio.lyrics_extension": ("audio.lyrics_suffix names the files with lyrics", ()),
}

LACKING_BELOW: dict[str, str] = {
    "grounding": _GROUNDING,
    "huggingface.filter_func": "rows are not filtered here",
    "huggingface.composite_image_config": "pictures are not cut apart here",
}

SECRETS: dict[str, str] = {
    "aws_access_key_id": "set AWS_ACCESS_KEY_ID, or name a profile with source.profile",
    "aws_secret_access_key": "set AWS_SECRET_ACCESS_KEY, or name a profile with source.profile",
    "aws_session_token": "set AWS_SESSION_TOKEN, or name a profile with source.profile",
    "hf_token": "set HF_TOKEN",
    "webshart.hf_token": "set HF_TOKEN",
    "huggingface.hf_token": "set HF_TOKEN",
}
"""Values that never go into a job file, and where they belong."""

KNOWN = {
    *("id", "type", "dataset_type", "disabled", "disable", "metadata_backend"),
    *("instance_data_dir", "dataset_name", "split", "revision", "image_column", "video_column"),
    *("audio_column", "csv_file", "csv_caption_column", "csv_url_column", "source"),
    *("aws_bucket_name", "aws_region_name", "aws_endpoint_url", "aws_data_prefix", *SECRETS),
    *("caption_strategy", "instance_prompt", "prepend_instance_prompt", "only_instance_prompt"),
    *("disable_multiline_split", "caption_shuffle.enable", "caption_shuffle.count"),
    *("caption_shuffle.seed", "caption_shuffle.split_on", "caption_shuffle.position_start"),
    *("caption_shuffle.include_original", "caption_filter_list", "text_embeds", "default"),
    *("resolution", "resolution_type", "crop", "crop_style", "crop_aspect", "crop_aspect_buckets"),
    *("minimum_image_size", "maximum_image_size", "target_downsample_size"),
    *("minimum_aspect_ratio", "maximum_aspect_ratio", "max_num_samples", "conditioning_data"),
    *("conditioning_type", "source_dataset_id", "repeats", "probability", "train_batch_size"),
    *("start_epoch", "start_step", "end_epoch", "end_step", "slider_strength"),
    *("timestep_sampling_offset", "is_regularisation_data", "is_regularization_data"),
    *("video.num_frames", "video.min_frames", "video.max_frames", "video.frame_interval"),
    *("audio.sample_rate", "audio.channels", "audio.duration_interval", "audio.lyrics_suffix"),
    *("audio.min_duration_seconds", "audio.max_duration_seconds", "audio.truncation_mode"),
    *("parquet.path", "parquet.filename_column", "parquet.caption_column"),
    *("parquet.fallback_caption_column", "parquet.identifier_includes_extension"),
    *("parquet.identifier_prefix", "parquet.default_extension", "webshart.source"),
    *("huggingface.caption_column", "huggingface.fallback_caption_column"),
    *DROPPED,
    *LACKING,
}
"""Every key that an entry may have; the others are told with the nearest of these."""

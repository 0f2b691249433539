"""Options about precision, memory, attention, compilation, devices and debugging."""

from __future__ import annotations

from trainer.config.importers.simpletuner.options.rule import (
    Rule,
    direct,
    dropped,
    handled,
    lacking,
)

_SDNQ = "an option of SDNQ quantisation, which is not used here"
_OFFLOAD = "weights stay on the device, which needs more memory"
_SPEED = "a matter of speed; the result is the same"
_LAUNCH = "one process trains here"
_SHARDED = "the model is not sharded over devices here"
_VAE = "the autoencoder encodes before training, one batch at a time"
_DEBUG = "debug.log_level sets what is logged"

PRECISION: dict[str, Rule] = {
    "mixed_precision": handled("bf16"),
    "base_model_default_dtype": dropped("compute.precision.dtype is that of the base, too"),
    "base_model_precision": handled("no_change"),
    "text_encoder_1_precision": handled("no_change"),
    "text_encoder_2_precision": handled("no_change"),
    "text_encoder_3_precision": handled("no_change"),
    "text_encoder_4_precision": handled("no_change"),
    "quantize_via": handled("accelerator"),
    "quantization_config": lacking("compute.quant has a few settings instead"),
    "quantize_activations": dropped("it has no effect on present presets"),
    "gradient_precision": dropped("decided by the optimiser, there as here"),
    "disable_tf32": lacking("TF32 is always allowed here", False),
    **{
        f"sdnq_{name}": lacking(_SDNQ, gate="base_model_precision")
        for name in (
            *("weights_dtype", "quantized_matmul_dtype", "group_size", "use_quantized_matmul"),
            *("compile_mode", "use_static_quantization", "use_stochastic_rounding"),
            *("dequantize_fp32", "use_svd", "svd_rank", "svd_steps", "use_hadamard"),
            *("hadamard_group_size", "modules_to_not_convert", "modules_to_not_use_matmul"),
            *("modules_dtype_dict", "modules_quant_config"),
        )
    },
}

MEMORY: dict[str, Rule] = {
    "enable_group_offload": lacking(
        "blocks of the denoiser are swapped instead: compute.offload.blocks", False
    ),
    "group_offload_type": lacking(_OFFLOAD, gate="enable_group_offload"),
    "group_offload_blocks_per_group": lacking(_OFFLOAD, gate="enable_group_offload"),
    "group_offload_use_stream": lacking(_OFFLOAD, gate="enable_group_offload"),
    "group_offload_to_disk_path": lacking(_OFFLOAD, gate="enable_group_offload"),
    "group_offload_text_encoder": handled(False, gate="enable_group_offload"),
    "group_offload_vae": handled(False, gate="enable_group_offload"),
    "musubi_blocks_to_swap": handled(0),
    "musubi_block_swap_device": dropped("swapped blocks live in host memory"),
    "ramtorch": lacking(_OFFLOAD, False),
    "ramtorch_target_modules": lacking(_OFFLOAD, gate="ramtorch"),
    "ramtorch_text_encoder": lacking(_OFFLOAD, False, gate="ramtorch"),
    "ramtorch_vae": lacking(_OFFLOAD, False, gate="ramtorch"),
    "ramtorch_controlnet": lacking(_OFFLOAD, False, gate="ramtorch"),
    "ramtorch_transformer_percent": lacking(_OFFLOAD, gate="ramtorch"),
    "ramtorch_text_encoder_percent": lacking(_OFFLOAD, gate="ramtorch"),
    "ramtorch_disable_sync_hooks": dropped("a switch of an offload engine that is not used here"),
    "ramtorch_disable_extensions": lacking(_OFFLOAD, gate="ramtorch"),
    "offload_during_startup": dropped("encoders are loaded one after another"),
    "offload_during_save": lacking(_OFFLOAD, False),
    "offload_param_path": lacking(_SHARDED, gate="deepspeed_config"),
    "accelerator_cache_clear_interval": dropped("the allocator's cache is left to the allocator"),
    "set_grads_to_none": dropped("always so here"),
    "unet_attention_slice": dropped(_SPEED),
    "gradient_checkpointing": direct("compute.checkpointing.enabled", "bool", default=True),
    "gradient_checkpointing_backend": handled("torch", gate="gradient_checkpointing"),
    "gradient_checkpointing_interval": handled(gate="gradient_checkpointing"),
    "gradient_checkpointing_segment_stride": dropped(
        "every block is checkpointed; the result is the same"
    ),
    "gradient_checkpointing_offload_attention": lacking(_OFFLOAD, False),
    "gradient_checkpointing_offload_pin_memory_max_buckets": lacking(
        _OFFLOAD, gate="gradient_checkpointing_offload_attention"
    ),
    "gradient_checkpointing_offload_prefetch": lacking(
        _OFFLOAD, False, gate="gradient_checkpointing_offload_attention"
    ),
    "vae_enable_slicing": direct("model.components.vae.slicing", "bool", default=False),
    "vae_enable_tiling": direct("model.components.vae.tiling", "bool", default=False),
    "vae_enable_patch_conv": dropped(_VAE),
    "vae_enable_temporal_roll": dropped(_VAE),
    "keep_vae_loaded": dropped(_VAE),
}

ATTENTION: dict[str, Rule] = {
    "attention_mechanism": handled("diffusers"),
    "sla_config": lacking("sparse linear attention is not trained here"),
    "sageattention_usage": lacking("attention without a backward pass is not used", "inference"),
    "dynamo_backend": handled("no"),
    "dynamo_mode": handled(gate="dynamo_backend"),
    "dynamo_fullgraph": handled(False, gate="dynamo_backend"),
    "dynamo_dynamic": handled(False, gate="dynamo_backend"),
    "dynamo_use_regional_compilation": handled(False, gate="dynamo_backend"),
}

DISTRIBUTED: dict[str, Rule] = {
    "num_processes": handled(1),
    "num_machines": lacking("one machine trains here; num_processes counts all of theirs", 1),
    "machine_rank": lacking(_LAUNCH, gate="num_machines"),
    "main_process_ip": lacking(_LAUNCH, gate="num_machines"),
    "main_process_port": lacking(_LAUNCH, gate="num_machines"),
    "same_network": dropped(_LAUNCH),
    "accelerate_config": lacking(
        "it may set the number of processes, on which the effective batch depends; "
        "set train.accumulate accordingly"
    ),
    "accelerate_extra_args": lacking(_LAUNCH),
    "find_unused_parameters": dropped(_LAUNCH),
    "deepspeed_config": lacking(_SHARDED),
    "fsdp_enable": lacking(_SHARDED, False),
    "fsdp_version": lacking(_SHARDED, gate="fsdp_enable"),
    "fsdp_reshard_after_forward": lacking(_SHARDED, gate="fsdp_enable"),
    "fsdp_state_dict_type": lacking(_SHARDED, gate="fsdp_enable"),
    "fsdp_cpu_ram_efficient_loading": lacking(_SHARDED, gate="fsdp_enable"),
    "fsdp_auto_wrap_policy": lacking(_SHARDED, gate="fsdp_enable"),
    "fsdp_limit_all_gathers": dropped("a notion of FSDP 1"),
    "fsdp_cpu_offload": lacking(_SHARDED, gate="fsdp_enable"),
    "fsdp_activation_checkpointing": lacking(_SHARDED, gate="fsdp_enable"),
    "fsdp_transformer_layer_cls_to_wrap": lacking(_SHARDED, gate="fsdp_enable"),
    "context_parallel_size": lacking(_SHARDED, 1),
    "context_parallel_comm_strategy": lacking(_SHARDED, gate="context_parallel_size"),
    "torch_num_threads": direct("compute.threads", "int"),
}

DEBUG: dict[str, Rule] = {
    "debug_aspect_buckets": dropped(_DEBUG),
    "debug_dataset_loader": dropped(_DEBUG),
    "print_filenames": dropped(_DEBUG),
    "print_sampler_statistics": dropped(_DEBUG),
}

"""Options about noise levels, loss, research techniques and the average of weights."""

from __future__ import annotations

from trainer.config.importers.simpletuner.options.model import DISCRETE, FLOW
from trainer.config.importers.simpletuner.options.rule import Rule, dropped, handled, lacking

_BIAS = "all times are drawn alike here"
_OFFSET = "offset noise is not added here"
_PERTURBED = "inputs are not perturbed here"
_ROLLOUT = "scheduled sampling is not trained here"
_NEVER_READ = "SimpleTuner shows it on the model card only; its loss never reads it"

NOISE: dict[str, Rule] = {
    "flow_schedule_shift": handled(3.0, families=FLOW),
    "flow_schedule_auto_shift": handled(False, families=FLOW),
    "audio_flow_schedule_shift": lacking("audio is not trained here", families=("ltxvideo2",)),
    "flow_sigmoid_scale": handled(1.0, families=FLOW),
    "flow_use_uniform_schedule": handled(False, families=FLOW),
    "flow_use_beta_schedule": handled(False, families=FLOW),
    "flow_beta_schedule_alpha": handled(2.0, families=FLOW),
    "flow_beta_schedule_beta": handled(2.0, families=FLOW),
    "flow_cubic_schedule_weights": lacking(
        "a density by knots is not offered; noise.sampling has the others", families=FLOW
    ),
    "flow_custom_timesteps": lacking("noise levels are not drawn from a list", families=FLOW),
    "flow_timesteps_mode": lacking(
        "noise levels are not drawn from a list", gate="flow_custom_timesteps", families=FLOW
    ),
    "mixflow_enabled": lacking("MixFlow is not trained here", False, families=FLOW),
    "mixflow_gamma": lacking("MixFlow is not trained here", gate="mixflow_enabled"),
    "disable_segmented_timestep_sampling": handled(False, families=DISCRETE),
    "timestep_bias_strategy": lacking(_BIAS, "none", families=DISCRETE),
    "timestep_bias_begin": lacking(_BIAS, gate="timestep_bias_strategy"),
    "timestep_bias_end": lacking(_BIAS, gate="timestep_bias_strategy"),
    "timestep_bias_multiplier": lacking(_BIAS, 1.0, gate="timestep_bias_strategy"),
    "timestep_bias_portion": lacking(_BIAS, gate="timestep_bias_strategy"),
    "training_scheduler_timestep_spacing": dropped("training draws from all times of the schedule"),
    "inference_scheduler_timestep_spacing": lacking(
        "pictures are drawn with the spacing of the model's own scheduler", "trailing"
    ),
    "offset_noise": lacking(_OFFSET, False, families=DISCRETE),
    "noise_offset": lacking(_OFFSET, 0.0, gate="offset_noise"),
    "noise_offset_probability": lacking(_OFFSET, gate="offset_noise"),
    "input_perturbation": lacking(_PERTURBED, 0.0),
    "input_perturbation_steps": lacking(_PERTURBED, gate="input_perturbation"),
    "diff2flow_enabled": lacking("Diff2Flow is not trained here", False, families=DISCRETE),
    "diff2flow_loss": lacking("Diff2Flow is not trained here", False, gate="diff2flow_enabled"),
    "scheduled_sampling_max_step_offset": lacking(_ROLLOUT, 0),
    **{
        f"scheduled_sampling_{name}": lacking(_ROLLOUT, gate="scheduled_sampling_max_step_offset")
        for name in (
            *("strategy", "probability", "prob_start", "prob_end", "ramp_steps", "start_step"),
            *("ramp_shape", "sampler", "order", "reflexflow", "reflexflow_alpha"),
            *("reflexflow_beta1", "reflexflow_beta2"),
        )
    },
}

LOSS: dict[str, Rule] = {
    "loss_type": handled("l2"),
    "huber_schedule": handled("snr"),
    "huber_c": handled(0.1),
    "snr_gamma": handled(families=DISCRETE),
    "snr_weight": lacking("the loss has no global factor", 1.0, families=DISCRETE),
    "use_soft_min_snr": dropped(_NEVER_READ),
    "soft_min_snr_sigma_data": dropped(_NEVER_READ),
    "masked_loss_probability": handled(1.0),
}


def _technique(switch: str, prefix: str, what: str, *names: str) -> dict[str, Rule]:
    """A technique: its switch, and options that are idle without it."""
    why = f"{what} is not trained here"
    own = {f"{prefix}_{name}": lacking(why, gate=switch) for name in names}
    return {switch: lacking(why, False), **own}


TECHNIQUES: dict[str, Rule] = {
    "tread_config": lacking("token routing is not trained here"),
    "diffusion_blocks_config": lacking("training in blocks is not offered here"),
    **_technique("twinflow_enabled", "twinflow", "TwinFlow", "target_step_count"),
    **_technique(
        *("internal_guidance_enabled", "internal_guidance", "internal guidance"),
        *("loss_weight", "block_index"),
    ),
    "validation_internal_guidance_scale": lacking(
        "internal guidance is not used here", 1.0, gate="internal_guidance_enabled"
    ),
    **_technique(
        *("layersync_enabled", "layersync", "LayerSync"),
        *("student_block", "teacher_block", "lambda"),
    ),
    **_technique(
        *("xm_enabled", "xm", "explorative modelling"),
        *("candidate_count", "training_target", "selection_scope", "block_size"),
    ),
    **_technique(
        *("nextlat_enabled", "nextlat", "next-latent prediction"),
        *("block_index", "weight", "state_loss", "kl_weight"),
    ),
    **_technique(
        *("irepa_enabled", "irepa", "iREPA"), *("spatial_norm_alpha", "projector_kernel_size")
    ),
    **_technique(
        *("crepa_enabled", "crepa", "CREPA"),
        *("block_index", "lambda", "adjacent_distance", "adjacent_tau", "encoder"),
        *("encoder_frames_batch_size", "use_backbone_features", "feature_source", "self_flow"),
        *("teacher_block_index", "self_flow_mask_ratio", "encoder_image_size"),
        *("drop_vae_encoder", "normalize_by_frames", "normalize_neighbour_sum"),
        *("spatial_align", "use_tae", "scheduler", "warmup_steps", "decay_steps", "lambda_end"),
        *("power", "cutoff_step", "similarity_threshold", "similarity_ema_decay"),
        *("threshold_mode",),
    ),
    **_technique(
        *("urepa_enabled", "urepa", "U-REPA"),
        *("lambda", "manifold_weight", "model", "encoder_image_size", "use_tae", "scheduler"),
        *("warmup_steps", "decay_steps", "lambda_end", "power", "cutoff_step"),
        *("similarity_threshold", "similarity_ema_decay", "threshold_mode"),
    ),
    "distillation_method": lacking("distillation is not trained here", "none"),
    "distillation_config": lacking("distillation is not trained here", gate="distillation_method"),
}

EMA: dict[str, Rule] = {
    "use_ema": handled(False),
    "ema_device": dropped("the average lies on the training device"),
    "ema_cpu_only": dropped("the average lies on the training device"),
    "ema_update_interval": handled(1),
    "ema_foreach_disable": dropped("decided automatically"),
    "ema_decay": handled(0.995),
    "ema_warmup_steps": lacking(
        "the decay rises by itself at the start, as min(decay, (1 + k) / (10 + k))",
        *(0,),
        gate="use_ema",
    ),
    "ema_validation": lacking(
        "pictures are drawn with the plain weights; the average is saved beside them",
        *("none",),
        gate="use_ema",
    ),
}

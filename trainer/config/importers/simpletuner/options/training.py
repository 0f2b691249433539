"""Options about the adapter, the length of the run, the optimiser and its schedule."""

from __future__ import annotations

from trainer.config.importers.simpletuner.options.rule import Rule, dropped, handled, lacking

DISTILLED = ("flux", "z_image")
_TEXT = "text encoders are not trained here"
_LEGACY = "an option of a training recipe that is gone"
_DEEPSPEED = (
    "SimpleTuner hands it to DeepSpeed only; its other optimisers have settings of their own"
)

ADAPTER: dict[str, Rule] = {
    "lora_type": handled("standard"),
    "lora_rank": handled(16),
    "lora_alpha": handled(),
    "lora_dropout": handled(0.1),
    "lora_init_type": handled("default"),
    "lora_format": handled("diffusers"),
    "use_dora": handled(False),
    "peft_lora_mode": lacking("only plain LoRA is trained here", "standard"),
    "singlora_ramp_up_steps": lacking("SingLoRA is not trained here", gate="peft_lora_mode"),
    "peft_lora_target_modules": handled(),
    "slider_lora_target": lacking(
        "there is no target preset for sliders; list adapter.targets", False
    ),
    "lycoris_config": handled("config/lycoris_config.json"),
    "init_lokr_norm": handled(),
    "init_lora": handled(),
    "init_lora_step": lacking("a run that starts from an adapter counts its steps from 0"),
    "init_lora_ema": lacking("the average starts at the weights of adapter.init_from"),
    "assistant_lora_path": handled(families=DISTILLED),
    "assistant_lora_strength": handled(1.0, families=DISTILLED),
    "assistant_lora_inference_strength": handled(0.0, families=DISTILLED),
    "disable_assistant_lora": handled(False, families=DISTILLED),
}

TEXT_ENCODER: dict[str, Rule] = {
    "train_text_encoder": lacking(_TEXT, False),
    "text_encoder_lr": lacking(_TEXT, gate="train_text_encoder"),
    "text_encoder_limit": dropped(_LEGACY),
    "freeze_encoder_before": dropped(_LEGACY),
    "freeze_encoder_after": dropped(_LEGACY),
    "freeze_encoder_strategy": dropped(_LEGACY),
    "layer_freeze_strategy": lacking("all weights, or an adapter, are trained", "none"),
    "fully_unload_text_encoder": dropped(
        "text encoders are always unloaded once captions are cached"
    ),
    "save_text_encoder": dropped("what was trained is saved"),
}

LENGTH: dict[str, Rule] = {
    "num_train_epochs": handled(1),
    "max_train_steps": handled(),
    "strict_epoch_limit": dropped("a run ends at exactly one of train.steps and train.epochs"),
    "train_batch_size": handled(4),
    "gradient_accumulation_steps": handled(1),
    "resolution": handled(1024),
}

OPTIMIZER: dict[str, Rule] = {
    "optimizer": handled("adamw_bf16"),
    "learning_rate": handled(4e-7),
    "optimizer_config": handled(),
    "adam_beta1": dropped(_DEEPSPEED),
    "adam_beta2": dropped(_DEEPSPEED),
    "optimizer_beta1": handled(),
    "optimizer_beta2": handled(),
    "adam_weight_decay": dropped(_DEEPSPEED),
    "adam_epsilon": dropped(_DEEPSPEED),
    "prodigy_steps": handled(),
    "max_grad_norm": handled(2.0),
    "grad_clip_method": handled("value"),
    "optimizer_cpu_offload_method": lacking("optimiser states stay on the device", "none"),
    "optimizer_offload_gradients": lacking("optimiser states stay on the device", False),
    "fuse_optimizer": dropped(
        "a matter of speed; the fused form is always taken where there is one"
    ),
    "optimizer_release_gradients": lacking(
        "gradients are kept until the step, which needs memory", False
    ),
}

SCHEDULE: dict[str, Rule] = {
    "lr_scheduler": handled("constant_with_warmup"),
    "lr_warmup_steps": handled(0),
    "lr_num_cycles": handled(1),
    "lr_power": handled(0.8),
    "lr_end": handled(4e-7),
    "lr_scale": handled(False),
    "lr_scale_sqrt": handled(False, gate="lr_scale"),
}

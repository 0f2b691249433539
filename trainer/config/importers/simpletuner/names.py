"""How SimpleTuner spells its keys: old names, names of the environment file, leftovers.

Every spelling leads to the option's present name; old ones are weak and give way to it.
"""

from __future__ import annotations

from typing import Any

from trainer.config.importers.ledger import Item
from trainer.config.importers.values import boolean

OLD_NAMES = {
    "checkpointing_steps": "checkpoint_step_interval",
    "fused_qkv_projections": "fuse_qkv_projections",
    "save_total_limit": "checkpoints_total_limit",
    "validation_steps": "validation_step_interval",
}
NEGATED = {
    "ignore_final_epochs": "strict_epoch_limit",
    "vae_cache_preprocess": "vae_cache_ondemand",
}
LEFTOVERS = {
    "trainer_extra_args": "its flags are listed one by one",
    "__disabled_fields__": "a note of the web interface",
    "__active_tab__": "a note of the web interface",
    "ez_model_type": "a note of the web interface",
    "aspect_ratio_bucketing": "a dataset setting, which means nothing in a run configuration",
    "aspect_ratio_bucket_min": "a dataset setting, which means nothing in a run configuration",
    "aspect_ratio_bucket_max": "a dataset setting, which means nothing in a run configuration",
    "repeats": "a dataset setting, which means nothing in a run configuration",
}
REMOVED = {
    "allow_tf32": "an option that is gone",
    "enable_xformers_memory_efficient_attention": "an option that is gone",
}
ENVIRONMENT = {
    "ACCELERATE_CONFIG_PATH": "accelerate_config",
    "ALLOW_TF32": "allow_tf32",
    "CHECKPOINTING_LIMIT": "checkpoints_total_limit",
    "CHECKPOINTING_STEPS": "checkpoint_step_interval",
    "DATALOADER_CONFIG": "data_backend_config",
    "HUB_MODEL_NAME": "hub_model_id",
    "LR_SCHEDULE": "lr_scheduler",
    "MAX_NUM_STEPS": "max_train_steps",
    "MINIMUM_RESOLUTION": "minimum_image_size",
    "MODEL_NAME": "pretrained_model_name_or_path",
    "NUM_EPOCHS": "num_train_epochs",
    "PUSH_CHECKPOINTS": "push_checkpoints_to_hub",
    "RESUME_CHECKPOINT": "resume_from_checkpoint",
    "TRAINER_DYNAMO_BACKEND": "dynamo_backend",
    "TRAINING_DYNAMO_BACKEND": "dynamo_backend",
    "TRAINING_NUM_MACHINES": "num_machines",
    "TRAINING_NUM_PROCESSES": "num_processes",
    "TRAINING_SEED": "seed",
    "USE_BITFIT": "layer_freeze_strategy",
    "USE_GRADIENT_CHECKPOINTING": "gradient_checkpointing",
    "USE_XFORMERS": "enable_xformers_memory_efficient_attention",
    "VALIDATION_STEPS": "validation_step_interval",
}
FAMILIES = {
    "sd15": "sd1x",
    "cosmos": "cosmos2",
    "cosmos2image": "cosmos2",
    "pixart_sigma": "pixart",
    "ltx": "ltxvideo",
}
OWN_VARIABLES = ("SIMPLETUNER_", "CONFIG_BACKEND", "CONFIG_PATH", "CONFIG_TYPE", "ENV")


def option(key: str, value: Any, where: str) -> Item:
    """A key of config.json, config.toml or a raw flag, under the option's present name."""
    name = key.strip().lstrip("-").replace("-", "_")
    if name in OLD_NAMES:
        return Item(key, OLD_NAMES[name], value, where, weak=True)
    if name in NEGATED:
        flag = boolean(value)
        return Item(key, NEGATED[name], None if flag is None else not flag, where, weak=True)
    return Item(key, name, value, where)


def variable(key: str, value: str, where: str) -> Item:
    """An assignment of config.env; `false` is not passed on by that format."""
    name = ENVIRONMENT.get(key)
    if key == "USE_BITFIT" and boolean(value):
        return Item(key, "layer_freeze_strategy", "bitfit", where)
    if name is None and not key.startswith(OWN_VARIABLES):
        name = key.lower() if key.isupper() else key
    if value.strip().lower() == "false":
        note = "config.env does not pass false on, so SimpleTuner's default counts"
        return Item(key, name or key, None, where, note=note)
    return Item(key, name or key, value, where)


def family(text: str) -> str:
    """The name of a model family, whichever of its spellings was used."""
    name = text.strip().lower().replace("-", "_")
    return FAMILIES.get(name, name)

"""Golden results: what settings of a run configuration become.

A case is a change of a small configuration, the values that the job must hold (None: nothing is
written), and what became of the keys.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from tests.unit.trainer.config.importers.conftest import Run, codes, job, options, statuses


class Case(NamedTuple):
    name: str
    changes: dict[str, Any]
    job: dict[str, Any]
    keys: dict[str, str] = {}  # noqa: RUF012
    errors: list[str] = []  # noqa: RUF012


def flux(name: str, changes: dict[str, Any], job: dict[str, Any], **more: Any) -> Case:
    return Case(name, changes, job, **more)


def sdxl(name: str, changes: dict[str, Any], job: dict[str, Any], **more: Any) -> Case:
    return Case(name, {"model_family": "sdxl", "model_flavour": None} | changes, job, **more)


def chroma(name: str, changes: dict[str, Any], job: dict[str, Any], **more: Any) -> Case:
    return Case(name, {"model_family": "chroma", "model_flavour": "hd"} | changes, job, **more)


CASES = [
    # --- model
    flux("hub id", {"pretrained_model_name_or_path": "a/b"}, {"model.path": "a/b"}),
    flux("full training", {"model_type": "full", "lora_rank": None}, {"model.mode": "full"}),
    flux(
        "adapter keys of a full run",
        {"model_type": "full"},
        {"adapter": None},
        keys={"lora_rank": "ignored"},
    ),
    flux(
        "own flavour of the source",
        {"model_flavour": None},
        {"model.flavour": "krea"},
    ),
    flux(
        "flavour that is not known here",
        {"model_flavour": "fluxbooru"},
        {"model.flavour": None},
        keys={"model_flavour": "unsupported"},
        errors=["IMP007"],
    ),
    sdxl(
        "own autoencoder of the source",
        {},
        {"model.components.vae.path": "madebyollin/sdxl-vae-fp16-fix"},
    ),
    flux(
        "autoencoder of another family",
        {"pretrained_vae_model_name_or_path": "madebyollin/sdxl-vae-fp16-fix"},
        {"model.components": None},
        keys={"pretrained_vae_model_name_or_path": "ignored"},
    ),
    sdxl(
        "zero terminal SNR",
        {"prediction_type": "v_prediction", "rescale_betas_zero_snr": "true"},
        {"model.prediction_type": "v_prediction", "model.zero_terminal_snr": True},
    ),
    flux(
        "options of another family",
        {"rescale_betas_zero_snr": True, "snr_gamma": 5, "ltx_i2v_prob": 0.3},
        {"model.zero_terminal_snr": None, "loss": None},
        keys=dict.fromkeys(["rescale_betas_zero_snr", "snr_gamma", "ltx_i2v_prob"], "ignored"),
    ),
    sdxl("another spelling of the family", {"model_family": "SD15"}, {"model.family": "sd1x"}),
    flux(
        "family that is not trained here",
        {"model_family": "wan"},
        {"model.family": "wan"},
        keys={"model_family": "unsupported"},
        errors=["IMP007", "CFG011"],
    ),
    flux(
        "drawn guidance",
        {"flux_guidance_mode": "random-range", "flux_guidance_min": 1, "flux_guidance_max": "4"},
        {"model.options.flux.guidance": 2.5},
        keys={"flux_guidance_mode": "approximated", "flux_guidance_max": "approximated"},
    ),
    flux(
        "masked text",
        {"flux_attention_masked_training": True, "tokenizer_max_length": 256},
        {"model.options.flux.attention_mask": True, "model.max_tokens": 256},
    ),
    flux(
        "layers of the text",
        {
            "model_family": "flux2",
            "custom_text_encoder_intermediary_layers": "[8, 16, 24]",
        },
        {"model.options.flux2.text_layers": [8, 16, 24]},
    ),
    flux(
        "layers of the text that are none",
        {"model_family": "flux2", "custom_text_encoder_intermediary_layers": "[8, 16"},
        {"model.options.flux2.text_layers": None},
        keys={"custom_text_encoder_intermediary_layers": "unsupported"},
    ),
    flux(
        "expert balance",
        {"model_family": "hidream", "hidream_use_load_balancing_loss": "true"},
        {"model.options.hidream.balance_weight": 0.01},
        keys={"hidream_use_load_balancing_loss": "approximated"},
    ),
    flux(
        "weight of the expert balance",
        {
            "model_family": "hidream",
            "hidream_use_load_balancing_loss": True,
            "hidream_load_balancing_loss_weight": 0.1,
        },
        {"model.options.hidream.balance_weight": 0.1},
        keys={"hidream_load_balancing_loss_weight": "approximated"},
    ),
    flux(
        "expert balance that is off",
        {
            "model_family": "hidream",
            "hidream_use_load_balancing_loss": False,
            "hidream_load_balancing_loss_weight": 0.1,
        },
        {"model.options.hidream.balance_weight": None},
        keys={"hidream_load_balancing_loss_weight": "ignored"},
    ),
    # --- experts of a part of the noise levels
    sdxl(
        "expert of the last steps",
        {"refiner_training": "true", "refiner_training_strength": "0.35"},
        {"noise.interval.high": 0.35, "noise.interval.low": None},
        keys=dict.fromkeys(["refiner_training", "refiner_training_strength"], "mapped"),
    ),
    sdxl(
        "expert of the first steps",
        {"refiner_training": True, "refiner_training_invert_schedule": True},
        {"noise.interval.low": 0.2, "noise.interval.high": None},
        keys={"refiner_training_invert_schedule": "mapped"},
    ),
    sdxl(
        "no expert",
        {"refiner_training": False, "refiner_training_strength": 0.35},
        {"noise": None},
        keys=dict.fromkeys(["refiner_training", "refiner_training_strength"], "ignored"),
    ),
    flux(
        "experts of flow models",
        {"refiner_training": True, "refiner_training_strength": 0.35},
        {"noise.interval": None},
        keys=dict.fromkeys(["refiner_training", "refiner_training_strength"], "ignored"),
    ),
    sdxl(
        "an expert by the name of its weights",
        {
            "model_family": "pixart",
            "pretrained_model_name_or_path": "me/my-stage1",
            "refiner_training": False,
        },
        {"noise.interval.low": 0.2, "noise.interval.high": None},
        keys={"refiner_training": "mapped"},
    ),
    sdxl(
        "refiner",
        {"model_flavour": "refiner-1.0"},
        {"noise": None, "model.options.sdxl.aesthetic_score": 7.0},
    ),
    sdxl(
        "refiner on all noise levels",
        {
            "model_flavour": "refiner-1.0",
            "sdxl_refiner_uses_full_range": True,
            "data_aesthetic_score": 6,
        },
        {"noise.interval.high": 1.0, "model.options.sdxl.aesthetic_score": 6.0},
    ),
    sdxl(
        "a score without a refiner",
        {"data_aesthetic_score": 6, "sdxl_refiner_uses_full_range": True},
        {"noise": None, "model.options": None},
        keys=dict.fromkeys(["data_aesthetic_score", "sdxl_refiner_uses_full_range"], "ignored"),
    ),
    sdxl(
        "pictures of base and refiner",
        {
            "model_flavour": "refiner-1.0",
            "validation_prompt": "a cat",
            "sdxl_validation_pipeline_mode": "full-pipeline",
            "sdxl_validation_stage1_model": "me/base",
            "sdxl_validation_stage2_model": "me/refiner",
        },
        {"validation.levels": "trained", "validation.other_model": "me/base"},
        keys={
            "sdxl_validation_stage1_model": "mapped",
            "sdxl_validation_stage2_model": "ignored",
        },
    ),
    sdxl(
        "pictures of both stages by default",
        {
            "model_family": "pixart",
            "model_flavour": "900M-1024-v0.7-stage1",
            "validation_prompt": "a cat",
            "pixart_validation_pipeline_mode": "full-pipeline",
        },
        {"validation.other_model": "terminusresearch/pixart-900m-1024-ft-v0.7-stage2"},
    ),
    sdxl(
        "pictures of one stage",
        {"validation_prompt": "a cat", "sdxl_validation_pipeline_mode": "full-pipeline"},
        {"validation.levels": None, "validation.other_model": None},
        keys={"sdxl_validation_pipeline_mode": "ignored"},
    ),
    sdxl(
        "loss weights of PixArt",
        {"model_family": "pixart", "snr_gamma": 5.0},
        {"loss.snr.gamma": 5.0},
    ),
    Case(
        "instruction before captions",
        {
            "model_family": "sana",
            "model_flavour": None,
            "sana_complex_human_instruction": "Draw: ",
        },
        {"model.options.sana.instruction": "Draw: ", "model.flavour": "sana1.5-4.8b-1024"},
    ),
    # --- adapter
    flux(
        "rank and alpha",
        {"lora_rank": "64", "lora_alpha": 32, "lora_dropout": 0.0},
        {"adapter.rank": 64, "adapter.alpha": 32.0, "adapter.dropout": 0.0},
    ),
    flux(
        "assistant of a distilled checkpoint",
        {
            "model_flavour": "schnell",
            "assistant_lora_path": "a/b",
            "assistant_lora_strength": "0.8",
            "assistant_lora_inference_strength": 0,
            "disable_assistant_lora": "false",
        },
        {
            "model.assistant.path": "a/b",
            "model.assistant.strength": 0.8,
            "model.assistant.enabled": None,
        },
        keys={"disable_assistant_lora": "ignored"},
    ),
    flux(
        "assistant switched off",
        {
            "model_flavour": "schnell",
            "disable_assistant_lora": True,
            "assistant_lora_path": "a/b",
        },
        {"model.assistant.enabled": False, "model.assistant.path": None},
        keys={"assistant_lora_path": "ignored"},
    ),
    flux("dropout by default", {}, {"adapter.dropout": 0.1}),
    flux(
        "target set",
        {"flux_lora_target": "all+ffs"},
        {"adapter.preset": "all+ffs"},
    ),
    flux(
        "targets win over the set",
        {"flux_lora_target": "all", "peft_lora_target_modules": '["to_q", "to_k"]'},
        {"adapter.targets": ["to_q", "to_k"], "adapter.preset": None},
        keys={"flux_lora_target": "ignored"},
    ),
    flux(
        "LyCORIS with the library's own defaults",
        {
            "lora_type": "lycoris",
            "lycoris_config": {"algo": "locon", "multiplier": 2, "linear_dim": 8},
        },
        {
            "adapter.kind": "lycoris",
            "adapter.lycoris.algo": "lora",
            "adapter.lycoris.modules": ["Linear"],
            "adapter.rank": 8,
            "adapter.alpha": 2.0,
            "adapter.dropout": None,
        },
        keys={"lycoris_config": "mapped", "lora_type": "mapped", "lora_rank": "ignored"},
    ),
    flux(
        "LoKr of whole factors",
        {
            "lora_type": "lycoris",
            "lycoris_config": {
                "algo": "lokr",
                "multiplier": 1.0,
                "linear_dim": 10000,
                "linear_alpha": 1,
                "factor": 16,
                "apply_preset": {
                    "target_module": ["Attention", "FeedForward"],
                    "module_algo_map": {
                        "Attention": {"factor": 16},
                        "FeedForward": {"factor": 8, "algo": "loha", "dim": 4},
                    },
                },
            },
            "init_lokr_norm": "1e-3",
        },
        {
            "adapter.lycoris.full_matrix": True,
            "adapter.lycoris.factor": 16,
            "adapter.lycoris.init_norm": 1e-3,
            "adapter.lycoris.modules": ["*Attention", "FeedForward"],
            "adapter.lycoris.overrides": [
                {"module": "*Attention", "factor": 16},
                {"module": "FeedForward", "factor": 8, "algo": "loha", "rank": 4},
            ],
            "adapter.rank": None,
            "adapter.alpha": None,
        },
        keys={"lycoris_config": "mapped", "init_lokr_norm": "mapped"},
    ),
    sdxl(
        "LyCORIS with settings that are not here",
        {
            "lora_type": "lycoris",
            "lycoris_config": json.dumps(
                {
                    "algo": "loha",
                    "linear_dim": 16,
                    "linear_alpha": 8,
                    "dora_wd": True,
                    "use_tucker": True,
                    "conv_dim": 4,
                    "apply_preset": {"target_module": ["Attention"], "target_name": ["conv_in"]},
                }
            ),
        },
        {
            "adapter.dora": True,
            "adapter.rank": 16,
            "adapter.lycoris.modules": ["Attention"],
        },
        keys={"lycoris_config": "approximated"},
    ),
    flux(
        "LyCORIS sizes that mean something else here",
        {
            "lora_type": "lycoris",
            "lycoris_config": {
                "algo": "dylora",
                "linear_dim": 16,
                "linear_alpha": 2,
                "block_size": 4,
                "apply_preset": {"module_algo_map": {"FeedForward": {}}},
            },
        },
        {
            "adapter.alpha": 8.0,
            "adapter.lycoris.block_size": 4,
            "adapter.lycoris.modules": ["FeedForward"],
        },
    ),
    flux(
        "rotations under a limit",
        {
            "lora_type": "lycoris",
            "lycoris_config": {
                "algo": "diag-oft",
                "linear_dim": 64,
                "linear_alpha": 1,
                "constraint": 0.1,
                "rescaled": True,
            },
        },
        {
            "adapter.rank": 64,
            "adapter.alpha": None,
            "adapter.lycoris.constraint": 0.1,
            "adapter.lycoris.rescaled": True,
        },
    ),
    flux(
        "LyCORIS that is not trained here",
        {"lora_type": "lycoris", "lycoris_config": {"algo": "tlora", "linear_dim": 64}},
        {"adapter.rank": None, "adapter.kind": None},
        keys={"lora_type": "unsupported"},
        errors=["IMP007"],
    ),
    flux(
        "start from the main parts of the base",
        {"lora_init_type": "pissa_niter_4"},
        {"adapter.init": "pissa_niter_4"},
        keys={"lora_init_type": "mapped"},
    ),
    flux(
        "start that is not here",
        {"lora_init_type": "loftq"},
        {"adapter.init": None},
        keys={"lora_init_type": "unsupported"},
    ),
    flux(
        "DoRA begins in the usual way",
        {"use_dora": True, "lora_init_type": "olora"},
        {"adapter.dora": True, "adapter.init": None},
        keys={"use_dora": "mapped", "lora_init_type": "ignored"},
    ),
    flux(
        "another adapter in the pictures",
        {
            "validation_prompt": "a cat",
            "validation_adapter_path": "turbo.safetensors",
            "validation_adapter_strength": "0.5",
        },
        {
            "validation.adapters[0].path": "turbo.safetensors",
            "validation.adapters[0].strength": 0.5,
            "validation.adapters_only": True,
        },
        errors=["CFG273"],
    ),
    flux(
        "several adapters in the pictures",
        {
            "validation_prompt": "a cat",
            "validation_adapter_config": [
                {"label": "one", "path": "a.safetensors"},
                {"label": "two", "adapters": [{"path": "b.safetensors", "strength": 2}]},
                {"label": "both", "adapters": [{"path": "a"}, {"path": "b"}]},
            ],
            "validation_adapter_mode": "comparison",
        },
        {
            "validation.adapters[0].name": "one",
            "validation.adapters[1].path": "b.safetensors",
            "validation.adapters[1].strength": 2.0,
            "validation.adapters[2]": None,
            "validation.adapters_only": False,
        },
        keys={"validation_adapter_config": "approximated"},
        errors=["CFG273", "CFG273"],
    ),
    # --- length and batch
    flux("epochs", {"max_train_steps": 0, "num_train_epochs": 7}, {"train.epochs": 7}),
    flux(
        "epochs by default",
        {"max_train_steps": None, "num_train_epochs": None},
        {"train.epochs": 1},
    ),
    flux(
        "both lengths",
        {"num_train_epochs": 3},
        {"train.steps": 1000, "train.epochs": None},
        keys={"num_train_epochs": "ignored"},
        errors=["IMP006"],
    ),
    flux("batch by default", {"train_batch_size": None}, {"train.batch_size": 4}),
    flux(
        "several devices",
        {"num_processes": 4, "gradient_accumulation_steps": 2},
        {"train.accumulate": 8},
        keys={"num_processes": "approximated", "gradient_accumulation_steps": "approximated"},
    ),
    # --- optimiser
    flux(
        "own arguments of an optimiser",
        {"optimizer": "adamw_bf16"},
        {"optimizer.name": "adamw_bf16", "optimizer.args.eps": 1e-6},
        keys={"optimizer": "approximated"},
    ),
    flux(
        "arguments in a text",
        {"optimizer_config": "weight_decay=0.1,foreach=true", "optimizer_beta1": 0.8},
        {"optimizer.args.weight_decay": 0.1, "optimizer.args.betas": None},
        keys={"optimizer_config": "approximated", "optimizer_beta1": "ignored"},
    ),
    flux(
        "both betas",
        {"optimizer_beta1": 0.8, "optimizer_beta2": "0.95"},
        {"optimizer.args.betas": [0.8, 0.95]},
    ),
    flux(
        "settings that only DeepSpeed reads",
        {"adam_weight_decay": 0.2, "adam_epsilon": 1e-4},
        {"optimizer.args": None},
        keys={"adam_weight_decay": "ignored", "adam_epsilon": "ignored"},
    ),
    flux(
        "optimiser that is not here",
        {"optimizer": "optimi-lion"},
        {"optimizer.name": None},
        keys={"optimizer": "unsupported"},
        errors=["IMP007"],
    ),
    flux("rate by default", {"learning_rate": None}, {"optimizer.lr": 4e-7}),
    flux(
        "scaled rate",
        {"lr_scale": True, "train_batch_size": 2, "gradient_accumulation_steps": 4},
        {"optimizer.lr": 8e-4},
        keys={"learning_rate": "approximated", "lr_scale": "mapped"},
    ),
    flux(
        "rate scaled by the root",
        {"lr_scale": True, "lr_scale_sqrt": True, "train_batch_size": 4},
        {"optimizer.lr": 2e-4},
    ),
    flux(
        "root without scaling",
        {"lr_scale_sqrt": True, "train_batch_size": 4},
        {"optimizer.lr": 1e-4},
        keys={"lr_scale_sqrt": "ignored"},
    ),
    flux("clipping by norm", {}, {"optimizer.clip": 1.0}, keys={"grad_clip_method": "mapped"}),
    flux(
        "clipping of elements",
        {"grad_clip_method": None},
        {"optimizer.clip": False},
        keys={"max_grad_norm": "approximated"},
    ),
    flux("clipping off", {"max_grad_norm": 0}, {"optimizer.clip": False}),
    # --- schedule
    flux(
        "polynomial",
        {"lr_scheduler": "polynomial", "lr_warmup_steps": 100, "lr_end": 1e-6},
        {
            "schedule.name": "polynomial",
            "schedule.warmup": 100,
            "schedule.power": 0.8,
            "schedule.end_lr": 1e-6,
        },
    ),
    flux(
        "constant with warm-up",
        {"lr_scheduler": "constant_with_warmup", "lr_warmup_steps": "50", "lr_end": 1e-6},
        {"schedule.name": "constant", "schedule.warmup": 50, "schedule.end_lr": None},
        keys={"lr_end": "ignored"},
    ),
    flux(
        "cosine over the whole run",
        {"lr_scheduler": "cosine", "lr_warmup_steps": 1000},
        {"schedule.name": "cosine", "schedule.warmup": None, "schedule.end_lr": 4e-7},
        keys={"lr_scheduler": "mapped", "lr_warmup_steps": "mapped"},
    ),
    flux(
        "cosine that is a wave",
        {"lr_scheduler": "cosine_with_warmup", "lr_warmup_steps": 100},
        {"schedule.name": "cosine", "schedule.warmup": 100},
        keys={"lr_scheduler": "approximated"},
    ),
    flux(
        "sine",
        {"lr_scheduler": "sine", "lr_warmup_steps": 100},
        {"schedule.name": "sine", "schedule.cycles": 5, "schedule.warmup": None},
        keys={"lr_scheduler": "approximated"},
    ),
    flux(
        "schedule-free",
        {"optimizer": "adamw_schedulefree", "lr_scheduler": "cosine", "lr_warmup_steps": 100},
        {
            "optimizer.name": "schedulefree",
            "optimizer.args.warmup_steps": 100,
            "optimizer.args.weight_decay": 0.01,
            "schedule": None,
        },
        keys={"lr_scheduler": "ignored", "lr_warmup_steps": "mapped"},
    ),
    # --- objective
    flux("shift", {"flow_schedule_shift": 1.5}, {"noise.shift": 1.5}),
    flux("no shift", {"flow_schedule_shift": 0}, {"noise.shift": 1.0}),
    flux(
        "automatic shift",
        {"flow_schedule_shift": 0, "flow_schedule_auto_shift": True},
        {"noise.shift": "auto"},
        keys={"flow_schedule_shift": "mapped"},
    ),
    flux(
        "automatic shift that the fixed one beats",
        {"flow_schedule_auto_shift": True},
        {"noise": None},
        keys={"flow_schedule_auto_shift": "ignored"},
    ),
    chroma(
        "shift of a family without one",
        {},
        {"noise.shift": 3.0, "noise.sampling": None, "model.flavour": "hd"},
    ),
    chroma(
        "settings of every flow family",
        {"flow_schedule_shift": 0, "flow_use_uniform_schedule": True},
        {"noise.shift": 1.0, "noise.sampling": "uniform"},
        keys={"flow_schedule_shift": "mapped", "flow_use_uniform_schedule": "mapped"},
    ),
    chroma(
        "settings that Chroma shares with Flux",
        {"flux_lora_target": "context+ffs", "flux_attention_masked_training": True},
        {"adapter.preset": "context+ffs", "model.options": None},
        keys={"flux_lora_target": "mapped", "flux_attention_masked_training": "ignored"},
    ),
    flux(
        "beta density",
        {"flow_use_beta_schedule": "yes", "flow_beta_schedule_alpha": 3, "flow_sigmoid_scale": 2},
        {"noise.sampling": "beta", "noise.beta.alpha": 3.0, "noise.sigmoid_scale": None},
        keys={"flow_sigmoid_scale": "ignored"},
    ),
    flux(
        "uniform density",
        {"flow_use_uniform_schedule": True},
        {"noise.sampling": "uniform"},
    ),
    flux(
        "huber on a flow model",
        {"loss_type": "huber", "huber_c": 0.2},
        {"loss.kind": "huber", "loss.huber.c": 0.2, "loss.huber.schedule": "snr"},
    ),
    flux(
        "huber settings without it", {"huber_c": 0.2}, {"loss": None}, keys={"huber_c": "ignored"}
    ),
    sdxl("min-SNR", {"snr_gamma": "5.0"}, {"loss.snr.gamma": 5.0}),
    sdxl(
        "segmented times",
        {"disable_segmented_timestep_sampling": False},
        {},
        keys={"disable_segmented_timestep_sampling": "approximated"},
    ),
    flux(
        "average of weights",
        {"use_ema": True, "ema_decay": 0.99, "ema_update_interval": 5},
        {"ema.enabled": True, "ema.decay": 0.99, "ema.every": 5},
        keys={"ema_update_interval": "approximated"},
    ),
    flux("average that is off", {"ema_decay": 0.99}, {"ema": None}, keys={"ema_decay": "ignored"}),
    # --- pictures
    flux(
        "validation",
        {
            "validation_prompt": "a cat",
            "validation_steps": 50,
            "validation_guidance": 3,
            "validation_num_inference_steps": 20,
            "validation_seed": 7,
            "num_validation_images": 2,
            "validation_resolution": "1024x1024",
            "disable_benchmark": True,
        },
        {
            "validation.prompts": ["a cat"],
            "validation.every_steps": 50,
            "validation.guidance": 3.0,
            "validation.steps": 20,
            "validation.seed": 7,
            "validation.images_per_prompt": 2,
            "validation.resolution": "1024px",
            "validation.at_start": False,
        },
    ),
    flux(
        "validation without a prompt",
        {"validation_step_interval": 50},
        {"validation": None},
        keys={"validation_step_interval": "ignored"},
    ),
    flux(
        "validation off",
        {"validation_disable": True, "validation_prompt": "a cat"},
        {"validation.enabled": False, "validation.prompts": None},
        keys={"validation_prompt": "ignored"},
    ),
    flux(
        "oblong pictures",
        {"validation_prompt": "a cat", "validation_resolution": "1280x768,1024"},
        {"validation.resolution": "992px"},
        keys={"validation_resolution": "approximated"},
    ),
    flux(
        "size in megapixels",
        {"validation_prompt": "a cat", "validation_resolution": 1},
        {"validation.resolution": "1024px"},
    ),
    sdxl(
        "negative prompt",
        {"validation_prompt": "a cat", "validation_negative_prompt": ""},
        {"validation.negative": ""},
    ),
    sdxl(
        "negative prompt by default",
        {"validation_prompt": "a cat"},
        {"validation.negative": "blurry, cropped, ugly"},
    ),
    flux(
        "negative prompt without effect",
        {"validation_prompt": "a cat", "validation_negative_prompt": "blurry"},
        {"validation.negative": None},
        keys={"validation_negative_prompt": "ignored"},
    ),
    # --- the rest of the run
    flux(
        "checkpoints",
        {
            "checkpointing_steps": 200,
            "checkpoints_total_limit": 2,
            "resume_from_checkpoint": "latest",
        },
        {"checkpoint.every_steps": 200, "checkpoint.keep": 2, "checkpoint.resume": "auto"},
    ),
    flux(
        "a checkpoint of the source",
        {"resume_from_checkpoint": "checkpoint-500"},
        {"checkpoint": None},
        keys={"resume_from_checkpoint": "unsupported"},
    ),
    flux("fp32", {"mixed_precision": "no"}, {"compute.precision.dtype": "fp32"}),
    flux(
        "fp16",
        {"mixed_precision": "fp16"},
        {"compute.precision.dtype": "bf16"},
        keys={"mixed_precision": "approximated"},
    ),
    flux(
        "no gradient checkpointing",
        {"gradient_checkpointing": "false", "torch_num_threads": 4},
        {"compute.checkpointing.enabled": False, "compute.threads": 4},
    ),
    flux(
        "prefetch",
        {"dataloader_prefetch": True, "dataloader_prefetch_qlen": 100},
        {"data.prefetch": 64},
    ),
    flux("name of the run", {"tracker_run_name": "cats"}, {"job.name": "cats"}),
    flux("seed", {"seed": "1234"}, {"job.seed": 1234}),
    flux("seed of the clock", {"seed": 0}, {"job": None}, keys={"seed": "approximated"}),
    # --- memory and speed
    flux(
        "quantisation",
        {"base_model_precision": "int8-quanto", "quantize_via": "cpu"},
        {"compute.quant": {"base": "int8-quanto", "via": "cpu"}},
    ),
    flux(
        "quantisation by another package",
        {"base_model_precision": "int8dq-torchao", "text_encoder_2_precision": "int8-torchao"},
        {"compute.quant": {"base": "int8-torchao", "text_encoders": ["none", "int8-torchao"]}},
        keys={"base_model_precision": "approximated", "text_encoder_2_precision": "mapped"},
    ),
    flux(
        "quantisation that is not known",
        {"base_model_precision": "uint3-sdnq", "text_encoder_4_precision": "int8-torchao"},
        {"compute": None},
        keys={"base_model_precision": "unsupported", "text_encoder_4_precision": "unsupported"},
    ),
    flux(
        "quantisation that is off",
        {"base_model_precision": "no_change", "quantize_via": "cpu"},
        {"compute": None},
        keys={"base_model_precision": "ignored", "quantize_via": "ignored"},
    ),
    flux(
        "checkpointing with offload, one block of two",
        {"gradient_checkpointing_backend": "unsloth", "gradient_checkpointing_interval": 2},
        {"compute.checkpointing": {"mode": "offload", "interval": 2}},
    ),
    flux(
        "swapped blocks, offloaded encoders",
        {
            "musubi_blocks_to_swap": 12,
            "enable_group_offload": True,
            "group_offload_text_encoder": True,
            "group_offload_vae": True,
        },
        {"compute.offload": {"blocks": 12, "text_encoders": True, "vae": True}},
        keys={"enable_group_offload": "unsupported"},
    ),
    flux(
        "swap without checkpointing",
        {"musubi_blocks_to_swap": 12, "gradient_checkpointing": False},
        {"compute.offload": None},
        keys={"musubi_blocks_to_swap": "unsupported"},
    ),
    flux(
        "autoencoder in slices and tiles",
        {"vae_enable_slicing": True, "vae_enable_tiling": True},
        {"model.components.vae": {"slicing": True, "tiling": True}},
    ),
    flux(
        "attention",
        {"attention_mechanism": "flash-attn-3"},
        {"compute.attention.backend": "flash-attn-3"},
    ),
    flux(
        "attention that cannot train",
        {"attention_mechanism": "sageattention"},
        {"compute": None},
        keys={"attention_mechanism": "unsupported"},
    ),
    flux(
        "compilation",
        {"dynamo_backend": "inductor", "dynamo_mode": "max-autotune", "dynamo_dynamic": True},
        {"compute.compile": {"backend": "inductor", "mode": "max-autotune", "dynamic": True}},
    ),
    flux(
        "compilation of quantised blocks",
        {"dynamo_backend": "inductor", "base_model_precision": "int8-torchao"},
        {"compute.compile": None},
        keys={"dynamo_backend": "unsupported"},
    ),
    # --- what is not here
    flux(
        "a technique and its options",
        {"crepa_enabled": True, "crepa_lambda": 0.3, "layersync_lambda": 0.1},
        {},
        keys={
            "crepa_enabled": "unsupported",
            "crepa_lambda": "unsupported",
            "layersync_lambda": "ignored",
        },
    ),
    flux(
        "what decides what is trained",
        {"control": True, "distillation_method": "lcm"},
        {},
        keys={"control": "unsupported", "distillation_method": "unsupported"},
        errors=["IMP007", "IMP007"],
    ),
    flux(
        "a whole control net, to be continued",
        {
            "controlnet": True,
            "model_type": "full",
            "controlnet_model_name_or_path": "someone/net",
            "base_model_precision": "int8-torchao",
        },
        {
            "model.mode": "controlnet",
            "model.controlnet.path": "someone/net",
            "compute.quant.base": "int8-torchao",
        },
        keys={"controlnet": "mapped", "controlnet_model_name_or_path": "mapped"},
        errors=["CFG301"],  # the dataset of these cases has no partners
    ),
    flux(
        "an adapter on a control net",
        {"controlnet": True, "lora_rank": 8},
        {"model.mode": "controlnet", "adapter": None},
        keys={"controlnet": "approximated", "lora_rank": "ignored"},
        errors=["CFG301"],
    ),
    flux(
        "empty values",
        {"lycoris_config": "", "validation_prompt": "None"},
        {"validation": None},
        keys={"lycoris_config": "ignored", "validation_prompt": "ignored"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_settings_become_what_they_mean(run: Run, case: Case) -> None:
    """Values, outcome of the keys, and lint."""
    imported = run(options(**case.changes))
    assert {path: job(imported, path) for path in case.job} == case.job
    found = statuses(imported)
    assert {key: found[key] for key in case.keys} == case.keys
    assert codes(imported) == case.errors


def test_a_change_of_formula_is_a_comment_on_its_line(run: Run) -> None:
    """Whoever reads the job sees what is different."""
    lines = run(options(num_processes=2, gradient_accumulation_steps=3)).text.splitlines()
    line = next(line for line in lines if line.startswith("accumulate"))
    assert line.startswith("accumulate = 6 # 2 devices x 3")


@pytest.mark.parametrize("value", ["many", "[1, 2]", True, {"a": 1}, [3]])
def test_a_value_that_cannot_be_read_is_told(run: Run, value: Any) -> None:
    """It is left out, with the value in the note, and the import goes on."""
    imported = run(options(lora_rank=value))
    record = next(k for k in imported.keys if k.key == "lora_rank")
    assert record.status == "unsupported"
    assert "left out" in record.note
    assert job(imported, "adapter.rank") is None


@pytest.mark.parametrize(
    ("name", "value"), [("lora_rank", 0), ("ema_decay", 1.5), ("lora_dropout", 1.0), ("seed", -5)]
)
def test_a_value_out_of_bounds_is_told(run: Run, name: str, value: Any) -> None:
    """The schema's bounds hold for imported values as well."""
    imported = run(options(use_ema=True, **{name: value}))
    assert statuses(imported)[name] == "unsupported"
    assert "CFG006" not in codes(imported)

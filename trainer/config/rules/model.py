"""Rules on family, flavour, weights and precision."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from operator import attrgetter
from pathlib import Path

from trainer.catalog import OPTIMIZERS
from trainer.catalog.facts import FamilyFacts, Prediction
from trainer.config.keys import ITEM, all_keys
from trainer.config.rules.problem import Problem, resolutions
from trainer.config.schema.root import JobConfig
from trainer.config.suggest import nearest
from trainer.config.units import parse_resolution


def flavour_known(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    flavour = config.model.flavour
    if flavour is not None and flavour not in facts.flavours:
        near = nearest(flavour, facts.flavours)
        yield Problem(
            code="CFG012",
            key="model.flavour",
            message=f"{facts.display_name} has no flavour {flavour!r}",
            fix=f"known: {', '.join(facts.flavours)}",
            patch={"model.flavour": near[0]} if near else None,
        )


def _discrete(facts: FamilyFacts) -> bool:
    """Whether the checkpoint's scheduler holds a discrete noise schedule."""
    return facts.prediction is not Prediction.FLOW and not facts.continuous_time


def prediction_fits_family(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.model.prediction_type and not _discrete(facts):
        flow = facts.prediction is Prediction.FLOW
        what = "is a flow model and predicts velocity" if flow else "always predicts the noise"
        yield Problem(
            code="CFG013",
            key="model.prediction_type",
            idle=True,
            message=f"{facts.display_name} {what}",
            why="epsilon and v belong to discrete schedules",
            fix="remove model.prediction_type",
            patch={"model.prediction_type": None},
        )


def _prediction(config: JobConfig, facts: FamilyFacts) -> str:
    """As configured; else as the flavour is known to predict."""
    flavour = facts.flavours.get(config.model.flavour or facts.default_flavour)
    known = flavour.prediction if flavour is not None else None
    return config.model.prediction_type or known or facts.prediction


def zero_snr_needs_v(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if not config.model.zero_terminal_snr:
        return
    if not _discrete(facts):
        yield Problem(
            code="CFG014",
            key="model.zero_terminal_snr",
            idle=True,
            message=f"{facts.display_name} has no discrete noise schedule to rescale",
            fix="remove model.zero_terminal_snr",
            patch={"model.zero_terminal_snr": None},
        )
    elif _prediction(config, facts) != Prediction.V:
        yield Problem(
            code="CFG015",
            key="model.zero_terminal_snr",
            message="zero terminal SNR needs v prediction",
            why="at pure noise an epsilon model would have to answer with its own input",
            fix='set model.prediction_type = "v_prediction"',
        )


def flux_options_on_flux(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    given = config.model.options.model_fields_set
    for family in sorted(given - {facts.key}):
        yield Problem(
            code="CFG016",
            key=f"model.options.{family}",
            idle=True,
            message=f"these options belong to {family}, the family is {facts.key}",
            why="they would have no effect",
            fix=f"remove [model.options.{family}]",
            patch={f"model.options.{family}": None},
        )


def text_length_fits(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    asked = config.model.max_tokens
    if asked is None:
        return
    usual = max((encoder.max_tokens for encoder in facts.text_encoders), default=0)
    limit = facts.token_limit or max(usual, 512)
    if "max_tokens" not in facts.supports:
        yield Problem(
            code="CFG017",
            key="model.max_tokens",
            idle=True,
            message=f"{facts.display_name} has a fixed text length",
            why=f"it reads {usual} tokens",
            fix="remove model.max_tokens",
            patch={"model.max_tokens": None},
        )
    elif asked > limit:
        yield Problem(
            code="CFG018",
            key="model.max_tokens",
            message=f"{asked} tokens are more than the {limit} of the text encoder",
            fix=f"use {limit} or less",
            patch={"model.max_tokens": limit},
        )


def bf16_optimizer_needs_bf16(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    entry = OPTIMIZERS.get(config.optimizer.name)
    if entry and entry.bf16_weights and config.compute.precision.dtype != "bf16":
        yield Problem(
            code="CFG019",
            key="optimizer.name",
            message=f"{config.optimizer.name} keeps bf16 weights, compute.precision.dtype is "
            f"{config.compute.precision.dtype}",
            fix='use optimizer.name = "adamw" with fp32',
            patch={"optimizer.name": "adamw"},
        )


def vae_survives_fp16(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if facts.vae_fp32 and config.model.components.vae.dtype == "fp16":
        yield Problem(
            code="CFG020",
            key="model.components.vae.dtype",
            level="warn",
            message=f"the usual {facts.display_name} autoencoder overflows in fp16",
            why="pictures become black or NaN",
            fix='use "fp32", or an fp16-safe autoencoder',
        )


def autoencoder_is_there(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if facts.vae_class is not None:
        return
    given = config.model.components.vae.model_fields_set
    keys = [f"model.components.vae.{name}" for name in sorted(given)]
    if config.eval.style_reference is not None:
        keys.append("eval.style_reference")  # measured with features of the autoencoder
    if config.cache.latents is not None:
        keys.append("cache.latents")  # pixels have no spread
    if config.compute.offload.vae:
        keys.append("compute.offload.vae")
    for key in keys:
        yield Problem(
            code="CFG229",
            key=key,
            idle=True,
            message=f"{facts.display_name} works on pixels and has no autoencoder",
            fix=f"remove {key}",
            patch={key: None},
        )


def latents_are_drawn(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if facts.vae_deterministic and config.cache.latents is not None:
        yield Problem(
            code="CFG215",
            key="cache.latents",
            idle=True,
            message=f"the autoencoder of {facts.display_name} gives one latent of a picture, "
            "without a spread",
            fix="remove cache.latents",
            patch={"cache.latents": None},
        )


def full_training_is_large(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    large = config.model.mode == "full" and facts.default_resolution >= 1024
    if large and is_published(config, facts) and not config.compute.checkpointing.enabled:
        yield Problem(
            code="CFG021",
            key="compute.checkpointing.enabled",
            level="info",
            message="full training without gradient checkpointing needs much memory",
            fix="turn it on if memory runs out",
        )


def is_published(config: JobConfig, facts: FamilyFacts) -> bool:
    """Whether the weights are one of the family's known checkpoints; of others little is known."""
    return config.model.path in {flavour.repo for flavour in facts.flavours.values()}


def weights_can_be_found(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key in _weight_keys():
        text = attrgetter(key)(config)
        if text is None or os.path.isdir(text):
            continue
        if not os.path.isfile(text):
            if not re.fullmatch(r"[\w.-]+/[\w.-]+", text):
                yield Problem(
                    code="CFG022",
                    key=key,
                    message=f"{text} does not exist and is no hub id",
                    fix="name a folder, a .safetensors file, or a hub id such as owner/model",
                )
        elif not text.endswith(".safetensors"):
            yield Problem(
                code="CFG022",
                key=key,
                message=f"{Path(text).name} is not a .safetensors file",
                why="other weight files can run code when they are opened",
                fix="convert it, or name a folder in diffusers layout",
            )


@cache
def _weight_keys() -> tuple[str, ...]:
    """Keys of single values that name weights: a folder, a file or a hub id."""
    keys = all_keys().items()
    return tuple(k for k, key in keys if key.extra.get("path") == "model" and ITEM not in k)


def hub_keys_on_hub(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.model.path is None or not os.path.isdir(config.model.path):
        return
    if config.model.revision is not None:
        yield Problem(
            code="CFG023",
            key="model.revision",
            idle=True,
            message="model.path is a folder of this machine, which has no revisions",
            fix="remove model.revision",
            patch={"model.revision": None},
        )


def size_suits_checkpoint(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if not is_published(config, facts):
        return
    flavour = facts.flavours.get(config.model.flavour or "")
    own = flavour.defaults.get("data.defaults.resolution") if flavour else None
    usual = round(parse_resolution(own).square) if own else facts.default_resolution
    for key, text in resolutions(config):
        edge = parse_resolution(text).square
        if not usual / 3 <= edge <= usual * 2.5:
            yield Problem(
                code="CFG024",
                key=key,
                level="warn",
                message=f"{text} is far from the {usual} pixels that {facts.display_name} was "
                "trained at",
                why="far from its training size a model repeats or blurs what it draws",
                fix=f'use about "{usual}px2"',
            )


RULES = (
    flavour_known,
    prediction_fits_family,
    zero_snr_needs_v,
    flux_options_on_flux,
    text_length_fits,
    bf16_optimizer_needs_bf16,
    vae_survives_fp16,
    autoencoder_is_there,
    latents_are_drawn,
    full_training_is_large,
    weights_can_be_found,
    hub_keys_on_hub,
    size_suits_checkpoint,
)

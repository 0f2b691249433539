"""Rules on families whose pictures are encoded and drawn by models of another repository."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trainer.catalog import OPTIMIZERS
from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig

OPTION = "model.options.stable_cascade"
PARTS = ("decoder", "vqgan")


def base_keeps_its_precision(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    """bf16 arithmetic over fp32 weights is allowed: these models were trained so."""
    if not facts.fp32_weights:
        return
    chosen, dtype = config.model.components.denoiser.dtype, config.compute.precision.dtype
    optimizer = OPTIMIZERS.get(config.optimizer.name)
    if config.model.mode == "full":
        kept = "bf16" if optimizer is not None and optimizer.bf16_weights else "fp32"
        key, patch = "optimizer.name", {"optimizer.name": "adamw"}
    else:
        kept = chosen or dtype
        key = "model.components.denoiser.dtype" if chosen else "compute.precision.dtype"
        patch = {key: "fp32"}
    if kept != "fp32":
        yield Problem(
            code="CFG230",
            key=key,
            message=f"the weights of {facts.display_name} would be kept in {kept}",
            why="the model loses its way in lower precisions, and what is trained on top learns "
            "to mend that",
            fix='use optimizer.name = "adamw"'
            if config.model.mode == "full"
            else 'set model.components.denoiser.dtype = "fp32"; the arithmetic may stay as it is',
            patch=patch,
        )


def encoder_is_there(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if facts.vae_file is None:
        return
    vae, decoder = config.model.components.vae, config.model.options.stable_cascade.decoder
    key = f"{OPTION}.decoder" if vae.path is None else "model.components.vae.path"
    folder = Path(vae.path or decoder or "")
    if (vae.path or decoder) and folder.is_dir():
        wanted = folder / (vae.subfolder or "") / facts.vae_file
        if not wanted.is_file():
            yield Problem(
                code="CFG231",
                key=key,
                message=f"{folder} has no {wanted.relative_to(folder)}",
                why="latents of any other encoder mean nothing to the model",
                fix=f"set model.components.vae.path to the file {facts.vae_file}",
            )


def decoder_is_there(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    path, validation = config.model.options.stable_cascade.decoder, config.validation
    if path is None or not Path(path).is_dir():
        return
    absent = [name for name in PARTS if not (Path(path) / name).is_dir()]
    if absent and validation.enabled and validation.prompts:
        yield Problem(
            code="CFG232",
            key=f"{OPTION}.decoder",
            level="warn",
            message=f"{path} has no {' and no '.join(absent)}, so no pictures will be drawn",
            why="what stage C makes are latents, and only its decoder can draw them",
            fix="name a folder with all parts, or set validation.enabled = false",
        )


def one_weighting(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    given = "p2_gamma" in config.model.options.stable_cascade.model_fields_set
    if given and config.loss.snr.gamma is not None:
        yield Problem(
            code="CFG233",
            key=f"{OPTION}.p2_gamma",
            idle=True,
            message="p2_gamma has no effect: loss.snr.gamma weighs the noise levels in its place",
            fix="remove one of the two",
            patch={f"{OPTION}.p2_gamma": None},
        )


def latents_without_spread(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.cache.latents is not None and facts.vae_file is not None:
        yield Problem(
            code="CFG234",
            key="cache.latents",
            idle=True,
            message=f"the picture encoder of {facts.display_name} gives one latent, no spread",
            why="sample, mean and distribution would all keep the same",
            fix="remove cache.latents",
            patch={"cache.latents": None},
        )


RULES = (
    base_keeps_its_precision,
    encoder_is_there,
    decoder_is_there,
    one_weighting,
    latents_without_spread,
)

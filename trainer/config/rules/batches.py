"""Rules on how batches are trained on: masked, as a prior, as a slider, at other times."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts, Prediction
from trainer.config.rules.conditioning import entries, made_into
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig

TRAINED = ("train", "prior")


def slider_has_an_adapter(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.model.mode == "adapter":
        return
    for number, dataset in enumerate(config.data.datasets):
        if dataset.slider is not None and dataset.role in TRAINED:
            yield Problem(
                code="CFG121",
                key=f"data.datasets[{number}].slider",
                message=f"dataset {dataset.id} asks for a strength of the adapter, but none "
                "is trained",
                fix='set model.mode = "adapter", or remove slider',
            )


def prior_has_an_adapter(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.model.mode != "full":
        return
    for number, dataset in enumerate(config.data.datasets):
        if dataset.role == "prior" and dataset.enabled:
            yield Problem(
                code="CFG122",
                key=f"data.datasets[{number}].role",
                message=f"dataset {dataset.id} keeps what the base model predicts, but the base "
                "model itself is trained",
                why="without the adapter there is nothing left to compare with",
                fix='set model.mode = "adapter", or role = "train" with captions that say what '
                "the pictures show",
            )


def slider_pulls(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for number, dataset in enumerate(config.data.datasets):
        if dataset.slider == 0 and dataset.role in TRAINED:
            yield Problem(
                code="CFG123",
                key=f"data.datasets[{number}].slider",
                level="warn",
                message=f"at strength 0 the batches of {dataset.id} train nothing",
                why="the adapter does not act, so it has no gradient",
                fix='use role = "prior" to keep what the base model makes of them, or a small '
                "strength",
            )


def times_can_move(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    sampling = config.noise.sampling or facts.sigma_sampling
    if facts.prediction is Prediction.FLOW and sampling == "sigmoid":
        return
    what = (
        f"{facts.display_name} draws its times uniformly"
        if facts.prediction is not Prediction.FLOW
        else f"{sampling} sampling has no normal draw that could be moved"
    )
    for number, dataset in enumerate(config.data.datasets):
        if dataset.timestep_offset:
            yield Problem(
                code="CFG125",
                key=f"data.datasets[{number}].timestep_offset",
                idle=True,
                message=f"timestep_offset of {dataset.id} has no effect: {what}",
                fix="remove timestep_offset",
                patch={f"data.datasets[{number}].timestep_offset": None},
            )


def masks_to_act_on(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    masked = any(
        d.role in TRAINED and made_into(config, entry) == "mask" for _, d, entry in entries(config)
    )
    if "mask" in config.loss.model_fields_set and not masked:
        yield Problem(
            code="CFG127",
            key="loss.mask",
            idle=True,
            message="no dataset that is trained on has masks, so [loss.mask] has no effect",
            fix='add conditioning = [{dataset = "ID of a mask dataset"}] to a dataset, or remove '
            "[loss.mask]",
            patch={"loss.mask": None},
        )


def masks_act(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.loss.mask.probability == 0.0:
        yield Problem(
            code="CFG128",
            key="loss.mask.probability",
            message="with probability 0 no mask is ever used",
            fix="remove the masks, or use a probability above 0",
            patch={"loss.mask.probability": None},
        )


RULES = (
    slider_has_an_adapter,
    prior_has_an_adapter,
    slider_pulls,
    times_can_move,
    masks_to_act_on,
    masks_act,
)

"""Rules on checkpoints made for editing, whose text encoder sees what a sample is made from."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts, Flavour
from trainer.config.rules.conditioning import PARTNERS, Entry, entries, flavour_name, made_into
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig


def edits_have_pictures(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    """A checkpoint made for editing has no text without a picture."""
    if _flavour(config, facts) is None:
        return
    given = {dataset.id for _, dataset, _ in _references(config)}
    for number, dataset in enumerate(config.data.datasets):
        if dataset.enabled and dataset.role not in PARTNERS and dataset.id not in given:
            yield Problem(
                code="CFG191",
                key=f"data.datasets[{number}].conditioning",
                message=f"{flavour_name(config, facts)} edits pictures, and the samples of "
                f"{dataset.id} are made from none",
                why="its text encoder reads every caption together with a picture",
                fix='add conditioning = [{dataset = "ID"}], or train a flavour for text alone',
            )
    if config.validation.enabled and config.validation.prompts:
        yield Problem(
            code="CFG192",
            key="validation.prompts",
            message=f"{flavour_name(config, facts)} edits pictures, and these prompts have none",
            fix="give each prompt a picture in validation.inputs",
        )


def references_in_number(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    flavour = _flavour(config, facts)
    if flavour is None or flavour.max_references is None:
        return
    counted: dict[str, int] = {}
    for key, dataset, _ in _references(config):
        counted[dataset.id] = counted.get(dataset.id, 0) + 1
        if counted[dataset.id] == flavour.max_references + 1:
            several = [n for n in facts.editing if facts.flavours[n].max_references is None]
            other = f", or train {' or '.join(several)}" if several else ""
            yield Problem(
                code="CFG193",
                key=key,
                message=f"{flavour_name(config, facts)} takes {flavour.max_references} picture, "
                f"and the samples of {dataset.id} are made from more",
                fix=f"remove entries of conditioning{other}",
            )


def texts_see_all_pictures(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if _flavour(config, facts) is None or config.data.conditioning_mix != "random":
        return
    owners = [dataset.id for _, dataset, _ in _references(config)]
    several = sorted({owner for owner in owners if owners.count(owner) > 1})
    if several:
        yield Problem(
            code="CFG194",
            key="data.conditioning_mix",
            message=f"{', '.join(several)}: the text is read with all pictures of a sample, so the "
            "denoiser cannot be shown one of them",
            fix='use "combined", or one dataset for each picture',
            patch={"data.conditioning_mix": "combined"},
        )


def laid_over_the_sample(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    flavour = _flavour(config, facts)
    if flavour is None or not flavour.cut_alike:
        return
    for key, dataset, entry in _references(config):
        if entry.match == "loose" and entry.generate is None:
            yield Problem(
                code="CFG195",
                key=f"{key}.match",
                message=f"{flavour_name(config, facts)} lays the picture over the sample of "
                f"{dataset.id}, so both have one size",
                fix='use match = "strict"',
                patch={f"{key}.match": "strict"},
            )


def _flavour(config: JobConfig, facts: FamilyFacts) -> Flavour | None:
    """The checkpoint, if it is one that edits."""
    flavour = facts.flavours.get(config.model.flavour or facts.default_flavour)
    return flavour if flavour is not None and flavour.edits else None


def _references(config: JobConfig) -> Iterator[Entry]:
    """Entries of conditioning that are pictures to look at."""
    return (e for e in entries(config) if made_into(config, e[2]) == "conditioning")


RULES = (edits_have_pictures, references_in_number, texts_see_all_pictures, laid_over_the_sample)

"""Rules on what a dataset is, and on settings that only some datasets have."""

from __future__ import annotations

import os
from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig

PARTNERS = ("conditioning", "mask")
NOUNS = {"image": "pictures", "video": "videos", "audio": "recordings", "caption": "texts alone"}


def kind_is_trained(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, dataset in enumerate(config.data.datasets):
        if dataset.enabled and dataset.role not in PARTNERS and dataset.kind != facts.modality:
            yield Problem(
                code="CFG160",
                key=f"data.datasets[{index}].kind",
                message=f"dataset {dataset.id} holds {NOUNS[dataset.kind]}, but "
                f"{facts.display_name} is trained on {NOUNS[facts.modality]}",
                fix="choose a family of that kind, or set enabled = false",
            )


def suffix_of_partners(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, dataset in enumerate(config.data.datasets):
        if dataset.suffix is not None and dataset.role not in PARTNERS:
            yield Problem(
                code="CFG161",
                key=f"data.datasets[{index}].suffix",
                idle=True,
                message=f"dataset {dataset.id} holds no partners, so suffix has no effect",
                fix="remove suffix, or set role to mask or conditioning",
                patch={f"data.datasets[{index}].suffix": None},
            )


def overlay_exists(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, dataset in enumerate(config.data.datasets):
        if dataset.overlay is not None and not os.path.isfile(dataset.overlay):
            yield Problem(
                code="CFG162",
                key=f"data.datasets[{index}].overlay",
                message=f"dataset {dataset.id}: the overlay {dataset.overlay} does not exist",
                fix="write one with `stune data lint PATH --fix`, or remove overlay",
            )


def waiting_workers(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if "prefetch" in config.data.model_fields_set and not config.data.workers:
        yield Problem(
            code="CFG163",
            key="data.prefetch",
            idle=True,
            message="without workers nothing is prepared ahead",
            fix="remove data.prefetch, or set data.workers = 1",
            patch={"data.prefetch": None},
        )


def partners_to_choose(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    most = max((len(d.conditioning) for d in config.data.datasets), default=0)
    for key, needed, what in (
        ("conditioning_mix", 2, "no dataset has two partners to choose from"),
        ("missing_partner", 1, "no dataset has partners, so none can be missing"),
    ):
        if key in config.data.model_fields_set and most < needed:
            yield Problem(
                code="CFG164",
                key=f"data.{key}",
                idle=True,
                message=what,
                fix=f"remove data.{key}",
                patch={f"data.{key}": None},
            )


RULES = (kind_is_trained, suffix_of_partners, overlay_exists, waiting_workers, partners_to_choose)

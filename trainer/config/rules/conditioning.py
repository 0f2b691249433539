"""Rules on partners of samples: what they are, how they are made, and whether they are used."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts, Flavour
from trainer.catalog.generators import GENERATORS, MASK_OPTIONS, Option, expected, wrong_value
from trainer.config.rules.problem import Problem
from trainer.config.schema.data import ConditioningConfig, DatasetConfig
from trainer.config.schema.root import JobConfig
from trainer.config.suggest import nearest

PARTNERS = ("conditioning", "mask")
Entry = tuple[str, DatasetConfig, ConditioningConfig]  # key, dataset, entry


def entries(config: JobConfig) -> Iterator[Entry]:
    """Every entry of `conditioning` of every dataset that takes part."""
    for number, dataset in enumerate(config.data.datasets):
        if dataset.enabled:
            for index, entry in enumerate(dataset.conditioning):
                yield f"data.datasets[{number}].conditioning[{index}]", dataset, entry


def made_into(config: JobConfig, entry: ConditioningConfig) -> str | None:
    """What the partner is used as: conditioning or mask; None when that is not clear."""
    if entry.generate is not None:
        return GENERATORS[entry.generate].makes
    roles = {d.id: d.role for d in config.data.datasets}
    role = roles.get(entry.dataset or "")
    return role if role in PARTNERS else None


def flavour_name(config: JobConfig, facts: FamilyFacts) -> str:
    """The checkpoint in words."""
    return f"{facts.display_name} {config.model.flavour or facts.default_flavour}"


def looks_at_pictures(config: JobConfig, facts: FamilyFacts) -> bool:
    """Whether what is trained is told of the pictures that a sample is made from."""
    return facts.looks_at_pictures(config.model.flavour) or config.model.mode == "controlnet"


def one_origin(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, dataset, entry in entries(config):
        if (entry.dataset is None) == (entry.generate is None):
            both = entry.dataset is not None
            yield Problem(
                code="CFG110",
                key=key,
                message=f"a partner of {dataset.id} comes from "
                + ("a dataset and from a generator" if both else "nowhere"),
                fix='give either dataset = "ID" or generate = "NAME"',
            )


def partners_exist(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    known = {d.id: d for d in config.data.datasets}
    for key, dataset, entry in entries(config):
        if entry.dataset is None:
            continue
        partner = known.get(entry.dataset)
        if partner is None:
            possible = [d.id for d in config.data.datasets if d.role in PARTNERS]
            near = nearest(entry.dataset, possible)
            fix = f"did you mean {near[0]!r}?" if near else "give the id of a dataset of this job"
            yield Problem(
                code="CFG111",
                key=f"{key}.dataset",
                message=f"there is no dataset {entry.dataset!r}",
                fix=fix,
                patch={f"{key}.dataset": near[0]} if near else None,
            )
        elif partner.role not in PARTNERS or not partner.enabled:
            state = f"has the role {partner.role}" if partner.enabled else "is not enabled"
            yield Problem(
                code="CFG112",
                key=f"{key}.dataset",
                message=f"dataset {partner.id} {state}, so {dataset.id} has no partners in it",
                fix=f'set role = "mask" or "conditioning" and enabled = true for {partner.id}',
            )


def partners_wanted(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    wanted = {e.dataset for d in config.data.datasets for e in d.conditioning}
    for number, dataset in enumerate(config.data.datasets):
        if dataset.role in PARTNERS and dataset.enabled and dataset.id not in wanted:
            yield Problem(
                code="CFG113",
                key=f"data.datasets[{number}].role",
                idle=True,
                message=f"dataset {dataset.id} is a {dataset.role} dataset, but no dataset has it "
                "as its partner",
                why="its samples would be read and used for nothing",
                fix=f'add conditioning = [{{dataset = "{dataset.id}"}}] to the dataset whose '
                "samples it goes with",
            )


def options_known(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, _, entry in entries(config):
        table, name = _table(config, entry)
        for option in sorted(entry.options.keys() - table.keys()):
            near = nearest(option, table)
            free = bool(near) and near[0] not in entry.options
            known = f"known: {', '.join(table)}" if table else "it takes none"
            patch = {f"{key}.options.{option}": None}
            yield Problem(
                code="CFG114",
                key=f"{key}.options.{option}",
                message=f"{name} has no option {option}",
                fix=(f"did you mean {near[0]}? " if near else "") + known,
                patch=patch | ({f"{key}.options.{near[0]}": entry.options[option]} if free else {}),
            )


def options_right(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, _, entry in entries(config):
        table, name = _table(config, entry)
        wrong = {o for o in entry.options.keys() & table.keys() if _wrong(table, entry, o)}
        for option in sorted(wrong):
            yield Problem(
                code="CFG115",
                key=f"{key}.options.{option}",
                message=f"{name}: {option} = {entry.options[option]!r}",
                why=table[option].doc,
                fix=f"it is {_wrong(table, entry, option)}",
            )
        generator = GENERATORS.get(entry.generate or "")
        for low, high in generator.ordered if generator and not wrong else ():
            least, most = (entry.options.get(o, table[o].default) for o in (low, high))
            if least > most:
                yield Problem(
                    code="CFG115",
                    key=f"{key}.options.{low if low in entry.options else high}",
                    message=f"{name}: {low} {least:g} is above {high} {most:g}",
                    fix=f"raise {high}, or lower {low}",
                )


def options_given(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, _, entry in entries(config):
        generator = GENERATORS.get(entry.generate or "")
        for option in generator.needs if generator else ():
            if option not in entry.options:
                yield Problem(
                    code="CFG116",
                    key=f"{key}.options",
                    message=f"{entry.generate} needs the option {option}",
                    why=generator.options[option].doc if generator else "",
                    fix=f'add options = {{{option} = "…"}}, '
                    f"{expected(generator.options[option]) if generator else ''}",
                )


def generator_fits(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, dataset, entry in entries(config):
        generator = GENERATORS.get(entry.generate or "")
        if generator and dataset.kind not in generator.kinds:
            yield Problem(
                code="CFG117",
                key=f"{key}.generate",
                message=f"{entry.generate} is made of {' or '.join(generator.kinds)} samples, and "
                f"dataset {dataset.id} has {dataset.kind} samples",
                fix="choose another generator, or set kind to what the samples are",
            )


def family_looks_at_it(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if looks_at_pictures(config, facts):
        return
    own = "remove the entry; masks are possible with every family"
    fix = (
        f"train a flavour that edits ({', '.join(facts.editing)}), or {own}"
        if facts.editing
        else own
    )
    name = flavour_name(config, facts) if facts.editing else facts.display_name
    for key, dataset, entry in entries(config):
        if made_into(config, entry) == "conditioning":
            yield Problem(
                code="CFG118",
                key=f"{key}.{'generate' if entry.generate else 'dataset'}",
                message=f"{name} does not look at conditioning pictures, so the partners of "
                f"{dataset.id} would be encoded for nothing",
                fix=fix,
            )


def partners_needed(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    flavour = _flavour(config, facts)
    if flavour is None or not flavour.conditioning:
        return
    has = {d.id for _, d, e in entries(config) if made_into(config, e) == "conditioning"}
    for number, dataset in enumerate(config.data.datasets):
        if dataset.enabled and dataset.role not in PARTNERS and dataset.id not in has:
            yield Problem(
                code="CFG223",
                key=f"data.datasets[{number}].conditioning",
                message=f"{facts.display_name} {config.model.flavour} looks at a picture beside "
                f"each sample, and {dataset.id} has none",
                why="it cannot be called without",
                fix='add conditioning = [{generate = "low_resolution", …}], or name a dataset of '
                "such pictures",
            )


def _flavour(config: JobConfig, facts: FamilyFacts) -> Flavour | None:
    """The flavour where it is known; a model of the user's own may be any."""
    return facts.flavours.get(config.model.flavour or "")


def settings_act(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, _, entry in entries(config):
        table, name = _table(config, entry)
        for option in sorted(entry.options.keys() & table.keys()):
            other, value = table[option].only_with or (option, None)
            if other != option and entry.options.get(other, table[other].default) != value:
                yield Problem(
                    code="CFG119",
                    key=f"{key}.options.{option}",
                    idle=True,
                    message=f"{name}: {option} acts only with {other} = {value!r}",
                    fix=f"set {other} = {value!r}, or remove {option}",
                    patch={f"{key}.options.{option}": None},
                )
        cut_alike = entry.generate is not None or made_into(config, entry) == "mask"
        if cut_alike and entry.match == "loose":
            yield Problem(
                code="CFG119",
                key=f"{key}.match",
                idle=True,
                message="masks and generated partners are always cut as their sample",
                fix="remove match",
                patch={f"{key}.match": None},
            )


def partners_used(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, dataset, entry in entries(config):
        measured = dataset.role == "eval" and made_into(config, entry) == "mask"
        if measured or dataset.role in PARTNERS:
            why = (
                "a held-out loss is measured on whole pictures, so that it can be compared"
                if measured
                else "they are partners themselves"
            )
            yield Problem(
                code="CFG120",
                key=key,
                idle=True,
                message=f"the samples of {dataset.id} have no use for a partner: {why}",
                fix="remove the entry",
            )


def _table(config: JobConfig, entry: ConditioningConfig) -> tuple[dict[str, Option], str]:
    """The options that an entry may have, and whose they are."""
    if entry.generate is not None:
        return dict(GENERATORS[entry.generate].options), entry.generate
    if made_into(config, entry) == "mask":
        return MASK_OPTIONS, "a mask"
    return {}, "a partner of another dataset"


def _wrong(table: dict[str, Option], entry: ConditioningConfig, option: str) -> str | None:
    return wrong_value(table[option], entry.options[option])


RULES = (
    one_origin,
    partners_exist,
    partners_wanted,
    options_known,
    options_right,
    options_given,
    generator_fits,
    family_looks_at_it,
    partners_needed,
    settings_act,
    partners_used,
)

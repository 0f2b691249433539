"""Rules on captions: what is missing, cannot be read, or has no effect."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts
from trainer.config.caption_language import PLACEHOLDERS, parse_filter, template_problem
from trainer.config.rules.kinds import PARTNERS
from trainer.config.rules.problem import Problem
from trainer.config.rules.uses import Use, caption_uses, idle_keys, unread
from trainer.config.schema.captions import CaptionConfig
from trainer.config.schema.root import JobConfig

FILES = ("textfile", "json")
TABLES = ("table", "hf")  # kinds of sources that have columns


def prompts_given(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for use in caption_uses(config):
        caption = use.value
        if caption.source == "instanceprompt" and not _prompts(caption):
            yield Problem(
                code="CFG082",
                key=use.key("prompt" if "prompt" in caption.model_fields_set else "source"),
                message="instanceprompt without a prompt",
                fix='add prompt = "a photo of …"',
            )
        elif caption.prepend and caption.source != "instanceprompt" and not _prompts(caption):
            yield Problem(
                code="CFG083",
                key=use.key("prepend"),
                message="nothing to put in front of captions",
                fix="add prompt, or remove prepend",
            )
        if caption.dropout > 0.5:
            yield Problem(
                code="CFG085",
                key=use.key("dropout"),
                level="warn",
                message=f"{caption.dropout:.0%} of the draws train without a caption",
                why="the model forgets to listen to the text",
                fix="0.05 to 0.15 is usual",
            )


def _prompts(caption: CaptionConfig) -> bool:
    """There are prompts, and none is empty."""
    prompts = [caption.prompt] if isinstance(caption.prompt, str) else caption.prompt or []
    return bool(prompts) and all(prompt.strip() for prompt in prompts)


def unused_prompt(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    def why_idle(name: str, use: Use[CaptionConfig]) -> str | None:
        used = use.value.prepend or use.value.source == "instanceprompt"
        return None if used or name != "prompt" else use.value.source

    for key, source in idle_keys(caption_uses(config), why_idle):
        yield Problem(
            code="CFG084",
            key=key,
            level="warn",
            idle=True,
            message=f"the prompt has no effect with source {source}",
            fix="set prepend = true, or remove prompt",
        )


def filters_readable(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for use in caption_uses(config):
        for text in use.value.filters:
            try:
                parse_filter(text)
            except ValueError as error:
                yield Problem(
                    code="CFG150",
                    key=use.key("filters"),
                    message=f"the filter {text!r} cannot be used: {error}",
                    fix='write a text to remove, or "s/pattern/replacement/"',
                )


def template_sound(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for use in caption_uses(config):
        template, source = use.value.template, use.value.source
        if template is None:
            continue
        if problem := template_problem(template):
            yield Problem(
                code="CFG151",
                key=use.key("template"),
                message=f"the template cannot be used: {problem}",
                fix=f"placeholders are {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}; "
                "a brace is written twice",
            )
        elif "{caption}" not in template and source not in ("filename", "instanceprompt"):
            yield Problem(
                code="CFG152",
                key=use.key("template"),
                message=f"the template leaves out the captions of source {source}",
                why="they are read and demanded, but nobody sees them",
                fix='put {caption} into it, or set source = "filename"',
            )


def keys_of_the_source(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, reason in idle_keys(caption_uses(config), _why_idle):
        yield Problem(
            code="CFG153",
            key=key,
            idle=True,
            message=f"{key.rpartition('.')[2]} has no effect: {reason}",
            fix=f"remove {key.rpartition('.')[2]}",
            patch={key: None},
        )


def _why_idle(name: str, use: Use[CaptionConfig]) -> str | None:
    source = use.value.source
    readers = {
        "suffix": ("textfile",),
        "split_lines": ("textfile",),
        "column": ("table", "json"),
        "fallback_column": ("table",),
    }
    if name in readers and source not in readers[name]:
        return f"captions come from {source}"
    if name == "prepend" and source == "instanceprompt":
        return "the prompts are the captions already"
    if name == "dropout" and use.dataset.role == "eval":
        return "a dataset that is only measured drops no captions"
    return None


def source_has_captions(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for use in caption_uses(config):
        place = use.dataset.source.kind if use.dataset.source else "local"
        if use.value.source == "table" and place not in TABLES:
            yield Problem(
                code="CFG154",
                key=use.key("source"),
                message=f"dataset {use.dataset.id} is no table, so it has no columns with captions",
                fix='use source = "textfile", or "json"; tables are sources of kind table and hf',
            )


def shuffles_find_tags(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for use in caption_uses(config):
        shuffle, caption = use.value.shuffle, use.value
        plain = caption.source == "filename" and caption.template is None and not caption.prepend
        if shuffle is not None and plain and shuffle.separator != "space":
            yield Problem(
                code="CFG155",
                key=use.key("shuffle"),
                level="warn",
                message=f"file names hold no {shuffle.separator}, so there is nothing to shuffle",
                fix='set shuffle.separator = "space", or remove shuffle',
            )


def shared_captions_read(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key in unread(caption_uses(config)):
        yield Problem(
            code="CFG156",
            key=key,
            idle=True,
            message=f"every dataset sets its own {key.rpartition('.')[2]}",
            fix=f"remove {key}",
            patch={key: None},
        )


def captions_of_partners(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, dataset in enumerate(config.data.datasets):
        if dataset.role in PARTNERS and dataset.caption is not None:
            yield Problem(
                code="CFG157",
                key=f"data.datasets[{index}].caption",
                idle=True,
                message=f"dataset {dataset.id} holds partners, whose captions are never read",
                fix="remove caption; the samples have the captions",
                patch={f"data.datasets[{index}].caption": None},
            )


def captions_can_be_missing(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    uses = caption_uses(config)
    if "missing_caption" not in config.data.model_fields_set or not uses:
        return
    if not any(u.value.source in (*FILES, "table") or u.value.filters for u in uses):
        yield Problem(
            code="CFG098",
            key="data.missing_caption",
            idle=True,
            message="no dataset reads captions from files or tables, so none can be missing",
            fix="remove data.missing_caption",
            patch={"data.missing_caption": None},
        )


RULES = (
    prompts_given,
    filters_readable,
    template_sound,
    source_has_captions,
    shuffles_find_tags,
    unused_prompt,
    keys_of_the_source,
    shared_captions_read,
    captions_of_partners,
    captions_can_be_missing,
)

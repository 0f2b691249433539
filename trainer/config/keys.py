"""Every key of a job file, walked from the schema: the one list that lint, docs and forms share."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from trainer.config.docstrings import field_docs
from trainer.config.schema.root import JobConfig

ITEM = "[]"  # stands for any index of a list of tables, as in data.datasets[].path


@dataclass(frozen=True, slots=True)
class Key:
    """One key with its documentation; `section` keys hold other keys."""

    path: str
    field: FieldInfo
    section: type[BaseModel] | None
    owner: type[BaseModel]

    @property
    def doc(self) -> str:
        return field_docs(self.owner).get(self.name, "")

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def required(self) -> bool:
        return self.field.is_required()

    @property
    def default(self) -> Any:
        value = self.field.get_default(call_default_factory=True)  # type: ignore[call-overload]
        return None if value is PydanticUndefined else value

    @property
    def choices(self) -> tuple[Any, ...]:
        return tuple(_literals(self.field.annotation))

    @property
    def bounds(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for item in self.field.metadata:
            for name in ("ge", "gt", "le", "lt", "min_length", "max_length"):
                if (value := getattr(item, name, None)) is not None:
                    found[name] = value
        return found

    @property
    def extra(self) -> dict[str, Any]:
        """Metadata made by `changes`: aspects, and whether the value is a path."""
        extra = self.field.json_schema_extra
        return extra if isinstance(extra, dict) else {}

    @property
    def changes(self) -> tuple[str, ...]:
        """What the key acts on: memory, time, disk, result."""
        return tuple(str(aspect) for aspect in self.extra.get("changes", ()))


def _members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a type: parts of a union, inner type of a list or an annotation."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType, list, typing.Annotated):
        return typing.get_args(annotation)
    return ()


def _literals(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [v for member in _members(annotation) for v in _literals(member)]


def _section_of(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The section class behind an annotation and whether it is a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for member in _members(annotation):
        section, _ = _section_of(member)
        if section is not None:
            return section, typing.get_origin(annotation) is list
    return None, False


def _walk(model: type[BaseModel], prefix: str) -> typing.Iterator[Key]:
    for name, field in model.model_fields.items():
        section, many = _section_of(field.annotation)
        path = f"{prefix}{name}"
        yield Key(path, field, section, model)
        if section is not None:
            yield from _walk(section, f"{path}{ITEM if many else ''}.")


@cache
def all_keys() -> dict[str, Key]:
    """Key path -> key, sections included, in the order of the schema."""
    return {key.path: key for key in _walk(JobConfig, "")}


@cache
def leaf_keys() -> dict[str, Key]:
    return {path: key for path, key in all_keys().items() if key.section is None}


def generic(path: str) -> str:
    """`data.datasets[0].path` -> `data.datasets[].path`."""
    out, inside = [], False
    for char in path:
        if char == "]":
            inside = False
        if not inside:
            out.append(char)
        if char == "[":
            inside = True
    return "".join(out)


def children(section: str) -> list[str]:
    """Names of the keys directly inside a section path ("" for the top)."""
    prefix = f"{section}." if section else ""
    found = (p[len(prefix) :] for p in all_keys() if p.startswith(prefix))
    return [name for name in found if "." not in name and "[" not in name]

"""Unknown keys, wrong types and wrong choices as findings with the nearest right answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError

from trainer import catalog
from trainer.config.aliases import ALIASES
from trainer.config.coerce import coerced, words
from trainer.config.keys import ITEM, Key, all_keys, children, generic, leaf_keys
from trainer.config.layers import leaves, value_at
from trainer.config.load import Document
from trainer.config.suggest import nearest
from trainer.findings import Finding, finding

TOP_LEVEL = ("preset",)
LIMITS = {
    "ge": "at least {}",
    "gt": "more than {}",
    "le": "at most {}",
    "lt": "less than {}",
    "min_length": "not empty",
    "max_length": "at most {} long",
}


def unknown_keys(document: Document) -> list[Finding]:
    """One finding per key that the schema does not have, however deep."""
    found: dict[str, Finding] = {}
    for path, _ in leaves(document.data):
        for section, name, full in _steps(path):
            if full in TOP_LEVEL:
                break
            key = all_keys().get(generic(full).removesuffix(ITEM))
            if key is None:
                if full not in found:
                    found[full] = _unknown(document, section, name, full)
                break
            if key.section is None:
                break
    return list(found.values())


def _steps(path: str) -> Iterator[tuple[str, str, str]]:
    """(section, name, full path) for each level of a key path."""
    full = ""
    for name in path.split("."):
        section = full
        full = f"{full}.{name}" if full else name
        yield section, name, full


def _unknown(document: Document, section: str, name: str, full: str) -> Finding:
    candidates = candidates_for(section, name)
    where_known = f"the section [{section}]" if section else "a job file"
    fix = (
        f"did you mean {' or '.join(candidates)}?"
        if candidates
        else (f"known there: {', '.join(children(generic(section)))}")
    )
    return finding(
        "CFG004",
        f"unknown key {full}",
        where=document.where(full),
        why=f"{where_known} has no key of this name, so it would have no effect",
        fix=fix,
        patch=_rename(document, full, candidates),
        key=full,
        candidates=candidates,
    )


def _rename(document: Document, wrong: str, candidates: list[str]) -> dict[str, Any] | None:
    """The patch that moves a value to its right name, when that name is clear and free."""
    if not candidates or ITEM in candidates[0]:
        return None
    right, value = candidates[0], value_at(document.data, wrong)
    key = all_keys().get(generic(right))
    if key is None or value_at(document.data, right) is not None:
        return None
    if (key.section is not None) != isinstance(value, dict | list):
        return None
    return {wrong: None, right: value}


def candidates_for(section: str, name: str) -> list[str]:
    """Right paths for a wrong name: same section first, then other tools' names, then anywhere."""
    home = generic(section)
    base = f"{home}{ITEM}" if home and not home.endswith(ITEM) and _is_list(home) else home
    own = {k: f"{section}.{k}" if section else k for k in children(base)}
    result = [own[n] for n in nearest(name, own)]
    alias = ALIASES.get(name.lower().replace("-", "_"))
    if alias and alias not in result:
        result.insert(0 if not result else 1, alias)
    if not result:
        elsewhere: dict[str, list[str]] = {}
        for path in leaf_keys():
            elsewhere.setdefault(path.rpartition(".")[2], []).append(path)
        for match in nearest(name, elsewhere):
            general = [path for path in elsewhere[match] if ITEM not in path]
            result += general or elsewhere[match]
    return result[:3]


def _is_list(path: str) -> bool:
    return any(p.startswith(f"{path}{ITEM}.") for p in all_keys())


def invalid_values(error: ValidationError, place: Callable[[str], str]) -> list[Finding]:
    """Findings for what pydantic refused; `place(path)` gives file:line or the layer."""
    found: list[Finding] = []
    for item in error.errors(include_url=False):
        path = _dotted(item["loc"])
        if item["type"] == "extra_forbidden" or any(f.evidence["key"] == path for f in found):
            continue  # reported as unknown, or one branch of a union already told
        if item["type"] == "missing" and generic(path) in all_keys():
            found.append(_missing(path, place(path)))
        else:
            found.append(_invalid(path, item, place(path)))
    return found


def _dotted(loc: tuple[Any, ...]) -> str:
    """Key path of an error location; names of union branches are left out."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            candidate = f"{path}[{part}]"
        else:
            candidate = f"{path}.{part}" if path else str(part)
        if generic(candidate) not in all_keys() and not isinstance(part, int):
            break
        path = candidate
    return path


def _missing(path: str, where: str) -> Finding:
    known = ", ".join(sorted(catalog.FAMILIES))
    table, _, name = path.rpartition(".")
    fix = {
        "model": f"add [model] with family = one of {known}",
        "model.family": f"add family = one of {known} to [model]",
    }.get(path, f"add {name} = … to [[{generic(table).removesuffix(ITEM)}]]")
    key = all_keys().get(generic(path))
    doc = key.doc if key else ""
    return finding("CFG005", f"{path} is missing", where=where, key=path, why=doc, fix=fix)


def _invalid(path: str, item: Any, where: str) -> Finding:
    key = all_keys().get(generic(path).removesuffix(ITEM))
    assert key is not None, f"pydantic refused {path}, which is no key"
    value = item.get("input")
    meant = _meant(key, value)
    fix = f"did you mean {_short(meant)}? " if meant is not None else ""
    fix += f"allowed: {', '.join(map(str, key.choices))}" if key.choices else expected_of(key)
    message = item["msg"].removeprefix("Value error, ")
    return finding(
        "CFG006",
        f"{path} = {_short(value)}: {message[:1].lower()}{message[1:]}",
        where=where,
        why=key.doc,
        fix=fix,
        patch={path: meant} if meant is not None else None,
        key=path,
    )


def _meant(key: Key, value: Any) -> Any:
    """The value that was probably meant, None when it is not clear."""
    if key.section is not None:
        return None
    if isinstance(value, str) and key.choices and value not in key.choices:
        near = nearest(value, map(str, key.choices))
        if near:
            return near[0]
    return coerced(key, value)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def expected_of(key: Key) -> str:
    if key.section is not None:
        return f"expected a table with the keys {', '.join(key.section.model_fields)}"
    return f"expected {expected(key)}"


def expected(key: Key) -> str:
    """Type and bounds of a key in words."""
    limits = [LIMITS[k].format(v) for k, v in key.bounds.items()]
    return " ".join([words(key), " and ".join(limits)]).strip()

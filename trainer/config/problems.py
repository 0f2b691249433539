"""Unknown keys, wrong types and wrong choices as findings with the nearest right answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from trainer.config.keys import ITEM, all_keys, children, generic, leaf_keys
from trainer.config.layers import leaves
from trainer.config.load import Document
from trainer.config.suggest import ALIASES, nearest
from trainer.findings import Finding, finding

TOP_LEVEL = ("preset",)


def unknown_keys(document: Document) -> list[Finding]:
    """One finding per key that the schema does not have, however deep."""
    found: list[Finding] = []
    for path, _ in leaves(document.data):
        parts = _steps(path)
        for depth, (section, name, full) in enumerate(parts):
            if depth == 0 and full in TOP_LEVEL:
                break
            key = all_keys().get(generic(full).removesuffix(ITEM))
            if key is None:
                if not any(f.evidence.get("key") == full for f in found):
                    found.append(_unknown(document, section, name, full))
                break
            if key.section is None:
                break
    return found


def _steps(path: str) -> Iterator[tuple[str, str, str]]:
    """(section, name, full path) for each level of a key path."""
    full = ""
    for name in path.split("."):
        section = full
        full = f"{full}.{name}" if full else name
        yield section, name, full


def _unknown(document: Document, section: str, name: str, full: str) -> Finding:
    candidates = candidates_for(section, name)
    best = candidates[0] if candidates else None
    patch = None
    if best is not None and ITEM not in best:
        value = _value_at(document.data, full)
        patch = {full: None, best: value}
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
        patch=patch,
        key=full,
        candidates=candidates,
    )


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
            result += elsewhere[match]
    return result[:3]


def _is_list(path: str) -> bool:
    return any(p.startswith(f"{path}{ITEM}.") for p in all_keys())


def _value_at(data: Any, path: str) -> Any:
    for name in path.replace("[", ".[").split("."):
        data = data[int(name[1:-1])] if name.startswith("[") else data[name]
    return data


def invalid_values(error: ValidationError, place) -> list[Finding]:
    """Findings for what pydantic refused; `place(path)` gives file:line or the layer."""
    found: list[Finding] = []
    for item in error.errors(include_url=False):
        path = _dotted(item["loc"])
        if item["type"] == "extra_forbidden" or any(f.evidence["key"] == path for f in found):
            continue  # reported as unknown, or one branch of a union already told
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


def _invalid(path: str, item: Any, where: str) -> Finding:
    key = all_keys().get(generic(path))
    value = item.get("input")
    if item["type"] == "missing":
        return finding(
            "CFG005",
            f"{path} is missing",
            where=where,
            key=path,
            why=key.doc if key else "",
            fix=f"add {path}",
        )
    choices = [str(c) for c in key.choices] if key else []
    near = nearest(str(value), choices) if isinstance(value, str) else []
    patch = {path: near[0]} if near else None
    if choices:
        fix = f"did you mean {near[0]!r}? allowed: " if near else "allowed: "
        fix += ", ".join(choices)
    else:
        fix = f"expected {expected(path)}"
    message = item["msg"].removeprefix("Value error, ")
    return finding(
        "CFG006",
        f"{path} = {value!r}: {message}",
        where=where,
        why=key.doc if key else "",
        fix=fix,
        patch=patch,
        key=path,
    )


def expected(path: str) -> str:
    """Type and bounds of a key in words."""
    key = all_keys()[generic(path)]
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    limits = [f"{words[k]} {v}" for k, v in key.bounds.items() if k in words]
    return " ".join([type_words(key.field.annotation), " and ".join(limits)]).strip()


def type_words(annotation: Any) -> str:
    text = str(annotation).replace("typing.", "")
    names = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text"}
    if "ResolutionText" in text or "_number_means_area" in text:
        return "a resolution such as 1024px2, 1.0mp or 1024px"
    if "_share" in text:
        return "a number of steps, or a share such as 0.05 or 5%"
    if "list" in text:
        return "a list"
    if "tuple" in text:
        return "a pair of numbers"
    for name, words in names.items():
        if f"'{name}'" in text or text.startswith(name):
            return words
    return text

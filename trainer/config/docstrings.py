"""The docstring under each field of a section, read from its source.

Pydantic can do this while classes are made, but that costs a third of the start of every command;
here it happens when somebody asks for documentation.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache

from pydantic import BaseModel


@cache
def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """Field name -> documentation, that of inherited fields included."""
    found: dict[str, str] = {}
    for section in reversed(model.__mro__):
        if issubclass(section, BaseModel) and section is not BaseModel:
            found |= _docs_of_module(section.__module__).get(section.__name__, {})
    return found


@cache
def _docs_of_module(name: str) -> dict[str, dict[str, str]]:
    tree = ast.parse(inspect.getsource(sys.modules[name]))
    return {node.name: _docs_of(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _docs_of(section: ast.ClassDef) -> dict[str, str]:
    found: dict[str, str] = {}
    for field, text in zip(section.body, section.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            found[field.target.id] = inspect.cleandoc(str(text.value.value))
    return found

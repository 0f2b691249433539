"""YAML as job files need it: numbers like 1e-4 are numbers, keys are unique texts.

YAML 1.1 reads `1e-4` as a text (it wants `1.0e-4`), which is how learning rates are usually
written, and lets the second of two equal keys win without a word.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.constructor import ConstructorError


class JobLoader(yaml.SafeLoader):
    """The safe loader with both rules."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                problem = f"the key {key.value!r} stands twice"
                raise ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return {str(k): v for k, v in super().construct_mapping(node, deep=deep).items()}


JobLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)

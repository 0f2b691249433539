"""Values that the source takes from the environment: `{env:NAME}`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from trainer.findings import Finding, finding

_PLACEHOLDER = re.compile(r"\{env:(\w+)\}")


def filled(
    text: str, env: Mapping[str, str], key: str, where: str, told: list[Finding]
) -> tuple[str, str]:
    """The text with the variables' present values, and a note on it; unset ones are told."""
    wanted = _PLACEHOLDER.findall(text)
    for name in wanted:
        if name not in env:
            told.append(
                finding(
                    "IMP012",
                    f"{key}: the environment variable {name} is not set",
                    where=where,
                    fix="set it and import again, or write the value into the job file",
                    level="warn",
                )
            )
    present = [name for name in wanted if name in env]
    note = f"with the present value of {', '.join(present)}" if present else ""
    return _PLACEHOLDER.sub(lambda m: env.get(m[1], m[0]), text), note

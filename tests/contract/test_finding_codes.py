"""Every finding code that the code uses is documented, and the other way round."""

from __future__ import annotations

import re
from pathlib import Path

from trainer.finding_codes import CODES

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r'"((?:CFG|DAT|RUN|LOR|ENV|PLN|IMP)\d{3})"')


def used() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for package in ("trainer", "stdaemon", "sttui"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path != ROOT / "trainer" / "finding_codes.py":
                found |= dict.fromkeys(CODE.findall(path.read_text(encoding="utf-8")), path)
    return found


def test_every_code_is_documented() -> None:
    """`finding()` refuses an undocumented code; this finds it before it is ever emitted."""
    undocumented = {code: path for code, path in used().items() if code not in CODES}
    assert not undocumented


def test_no_configuration_entry_is_dead() -> None:
    """An entry that nothing emits describes a check that does not exist."""
    dead = CODES.keys() - used().keys()
    assert sorted(code for code in dead if code.startswith("CFG")) == []


def test_an_entry_is_a_sentence() -> None:
    """It stands alone in the reference."""
    for code, text in CODES.items():
        assert text.endswith("."), code

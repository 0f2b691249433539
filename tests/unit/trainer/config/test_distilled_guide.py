"""The examples of docs/guides/distilled-checkpoints.md are jobs without a finding."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trainer.config.resolve import resolve

GUIDE = Path(__file__).resolve().parents[4] / "docs" / "guides" / "distilled-checkpoints.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
REST = "[train]\nsteps = 1\n[[data.datasets]]\nid = 'a'\npath = '.'\n"


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_clean_and_has_an_assistant(tmp_path: Path, example: str) -> None:
    """Both the flavour's own and another one."""
    resolved = resolve(example + REST, base_dir=tmp_path, env={})
    assert [f for f in resolved.findings if f.level != "info"] == []
    assert resolved.config is not None
    assert resolved.config.model.assistant.path is not None
    assert len(EXAMPLES) == 2

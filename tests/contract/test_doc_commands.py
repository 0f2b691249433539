"""Command lines shown in the pages exist: verb, options and arguments parse."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from sttui.cli.invocation import current
from sttui.cli.root import build, load
from sttui.cli.verbs import VERBS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINE = re.compile(r"\bstune ((?:--host \S+ )?[a-z].*?)(?=`|$|\)| && |  +#| \||;)")


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        spans = [] if page.parent.name == "reference" else re.findall(r"`(stune [^`\n]+)`", text)
        for line in [*"\n".join(blocks).splitlines(), *spans]:
            found += [(page.name, m) for m in LINE.findall(line) if m.split()[0] != "VERB"]
    return sorted(set(found))


def test_there_are_commands_to_check() -> None:
    """The pattern finds what the pages show."""
    assert len(commands()) > 15
    assert ("first-job.md", "config show my-style.toml --origin") in commands()


@pytest.mark.parametrize(("page", "line"), commands())
def test_command_parses(page: str, line: str) -> None:
    """A renamed verb or option breaks the page that shows it."""
    words = shlex.split(line)
    current.reset()
    if words[0] == "--host":
        words = words[2:]
    if words[0] in VERBS:
        command = load(words[0])
        if VERBS[words[0]].group and len(words) > 1:
            words = words[1:]
            command = command.commands[words[0]]
        if len(words) > 1:  # a bare verb in running text names it without its arguments
            command.make_context(words[0], words[1:])
    else:
        build().make_context("stune", words)
        pytest.fail(f"{page}: there is no verb {words[0]}")
    current.reset()

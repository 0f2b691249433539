"""The key table: no key means two things, every verb exists, the user's own keys are checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from sttui.cli.verbs import VERBS
from sttui.tui.keys import BY_ID, KEYS, TITLES, conflicts, document, load_keymap
from sttui.tui.screens.help import sheet
from sttui.tui.spans import plain_text


def test_no_key_means_two_things_in_one_place() -> None:
    """Within a group each key is used once, and ids are unique."""
    assert conflicts({}) == []
    assert len(BY_ID) == sum(len(keys) for keys in KEYS.values())
    assert all(key.id.startswith(f"{group}.") for group, keys in KEYS.items() for key in keys)
    assert set(TITLES) == set(KEYS)


def test_every_change_has_a_verb_that_exists() -> None:
    """What the interface can change, the command line can too."""
    for key in BY_ID.values():
        if key.mutates:
            assert key.verb, key.id
        if key.verb:
            assert key.verb.split()[0] in VERBS, key.id


def test_keys_work_in_every_terminal() -> None:
    """No key needs what many terminals do not deliver."""
    for key in BY_ID.values():
        for name in key.key.split(","):
            assert "ctrl+shift" not in name, key.id
            assert name not in ("ctrl+i", "ctrl+m", "ctrl+h", "ctrl+left_square_bracket"), key.id
            assert not name.startswith(("alt+", "meta+", "super+", "f1")), key.id


def test_a_keymap_is_read_by_id(tmp_path: Path) -> None:
    """Table and dotted forms; a conflict is named, an unknown id is an error."""
    path = tmp_path / "keymap.toml"
    assert load_keymap(path) == {}
    path.write_text('jobs.stop = "X"\n[log]\nfollow = "F"\n')
    keymap = load_keymap(path)
    assert keymap == {"jobs.stop": "X", "log.follow": "F"}
    assert conflicts(keymap) == []
    assert conflicts({"jobs.stop": "d"}) == ["d means jobs.stop and jobs.cancel"]
    assert any("global" in c for c in conflicts({"jobs.stop": "q"}))


@pytest.mark.parametrize("text", ["jobs.stpo = 'x'", "jobs = 3", "= broken"])
def test_a_broken_keymap_is_a_value_error(tmp_path: Path, text: str) -> None:
    """Whatever is wrong with the file, the interface can tell it in one sentence."""
    path = tmp_path / "keymap.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"\w"):
        load_keymap(path)


def test_the_sheet_shows_all_keys_and_here_first() -> None:
    """Help of a place starts with its own keys; remapped keys are shown as they are."""
    text = plain_text(sheet({"log.follow"}, {"log.follow": "F"}))
    assert text.index("Log") < text.index("Elsewhere") < text.index("Lists")
    assert "  F " in text
    for group, keys in KEYS.items():
        assert TITLES[group] in text
        assert all(key.title in text for key in keys)
    assert "stune stop" not in plain_text(sheet(set(), {}, read_only=True))


def test_the_document_lists_every_id() -> None:
    """The reference page is complete."""
    page = document()
    assert all(f"`{id}`" in page for id in BY_ID)

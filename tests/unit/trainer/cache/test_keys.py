"""Keys: everything that shapes a tensor changes its key, nothing else does (B08 acceptance 1)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.cache.keys import KEY_BYTES, digest, latent_key, text_key
from trainer.data.geometry import Placement

PLACE = Placement((64, 64), (96, 64), 16, 0)
BASE = (b"c" * 16, PLACE, "ffffff", "vae-1")


@pytest.mark.parametrize(
    "changed",
    [
        (b"d" * 16, PLACE, "ffffff", "vae-1"),
        (b"c" * 16, replace(PLACE, target=(64, 48)), "ffffff", "vae-1"),
        (b"c" * 16, replace(PLACE, resize=(97, 64)), "ffffff", "vae-1"),
        (b"c" * 16, replace(PLACE, left=17), "ffffff", "vae-1"),
        (b"c" * 16, replace(PLACE, top=1), "ffffff", "vae-1"),
        (b"c" * 16, PLACE, "000000", "vae-1"),
        (b"c" * 16, PLACE, "ffffff", "vae-2"),
    ],
)
def test_every_input_changes_the_latent_key(changed):
    """Content, size, crop, background and encoder are part of the key."""
    assert latent_key(*changed) != latent_key(*BASE)


def test_spelling_of_the_background_does_not_matter():
    """The same colour written differently is the same key."""
    assert latent_key(b"c", PLACE, "#FFFFFF", "v") == latent_key(b"c", PLACE, "ffffff", "v")


@settings(deadline=None)
@given(st.text(), st.text(), st.text(), st.text())
def test_text_keys_are_equal_only_for_equal_inputs(a, b, x, y):
    """Caption and encoder cannot be confused with one another."""
    assert (text_key(a, x) == text_key(b, y)) == ((a, x) == (b, y))


def test_digest_keeps_parts_apart():
    """Moving a letter between two parts is another digest."""
    assert digest("ab", "c") != digest("a", "bc")
    assert len(digest()) == KEY_BYTES

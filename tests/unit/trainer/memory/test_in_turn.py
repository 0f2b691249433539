"""Text encoders one after the other: the same embeddings, never two in memory."""

from __future__ import annotations

import weakref

import pytest
import torch

from tests.support.families import diffusers_pipeline, tiny_family
from trainer.models import load

CAPTIONS = ["a red apple", "a blue car in the rain", "", "a tree", "one more tree"]
KINDS = ("flux", "sdxl", "sd3")


class Watch:
    """Encoders that are loaded, by weak references."""

    def __init__(self, monkeypatch) -> None:
        self.loads: list[str] = []
        self.most = 0
        self._alive: list[weakref.ref] = []
        original = load.text_encoder

        def watched(source, fact, dtype):
            module = original(source, fact, dtype)
            self.loads.append(fact.slot)
            self._alive.append(weakref.ref(module))
            self.most = max(self.most, self.alive())
            return module

        monkeypatch.setattr(load, "text_encoder", watched)

    def alive(self) -> int:
        return sum(reference() is not None for reference in self._alive)


@pytest.mark.parametrize("kind", KINDS)
def test_one_at_a_time_and_the_same_embeddings(kind, tiny_model, monkeypatch):
    """Each encoder is loaded once for three batches, alone, and is gone at the end."""
    together = tiny_family(kind, tiny_model(kind))
    expected = together.encode_captions(CAPTIONS, 2)
    together.unload("text")
    watch = Watch(monkeypatch)
    family = tiny_family(kind, tiny_model(kind), compute={"text_encoders": "sequential"})
    found = family.encode_captions(CAPTIONS, 2)
    slots = [fact.slot for fact in family.source.text_encoders]
    assert len(slots) > 1
    assert watch.loads == slots
    assert watch.most == 1
    family.unload("text")
    assert watch.alive() == 0
    assert len(found) == len(CAPTIONS)
    for entry, wanted in zip(found, expected, strict=True):
        assert entry.keys() == wanted.keys()
        assert all(torch.equal(entry[key], wanted[key]) for key in wanted)


def test_together_they_are_all_there(tiny_model, monkeypatch):
    """Otherwise the test above would hold of anything."""
    watch = Watch(monkeypatch)
    tiny_family("sd3", tiny_model("sd3")).encode_captions(CAPTIONS, 2)
    assert watch.most == 3


def test_an_encoder_that_is_asked_beside_calls_still_answers(tiny_model):
    """What a pipeline reads of an encoder (its configuration, a part of it) is the encoder's."""
    family = tiny_family("flux", tiny_model("flux"), compute={"text_encoders": "sequential"})
    family.load("text")
    pipe = diffusers_pipeline("flux", tiny_model("flux"))
    for slot in ("text_encoder", "text_encoder_2"):
        stand = family.modules[slot]
        assert stand.config.hidden_size == getattr(pipe, slot).config.hidden_size
        assert stand.dtype == torch.float32


def test_batches_are_many_only_where_it_pays(tiny_model):
    """A round of loading serves many batches; encoders that are all there need no rounds."""
    family = tiny_family("flux", tiny_model("flux"))
    assert family.captions_at_once(16) == 16
    sequential = tiny_family("flux", tiny_model("flux"), compute={"text_encoders": "sequential"})
    assert sequential.captions_at_once(16) >= 256


def test_the_cache_is_filled_through_it(tiny_model, tmp_path, monkeypatch):
    """From the configuration to stored entries: fewer loads than batches."""
    from trainer.cache.keys import text_key
    from trainer.cache.store import Store
    from trainer.cache.text import build_text

    watch = Watch(monkeypatch)
    family = tiny_family("sdxl", tiny_model("sdxl"), compute={"text_encoders": "sequential"})
    store = Store(tmp_path, "text", family.identity("text"))
    assert build_text(
        CAPTIONS,
        family,
        store,
        batch_size=1,
        on_progress=lambda *_: None,
        should_stop=lambda: False,
    )
    assert not store.missing([text_key(caption, store.encoder) for caption in CAPTIONS])
    assert len(watch.loads) == 2

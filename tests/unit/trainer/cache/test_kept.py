"""What is kept of the autoencoder's output: sample, mean or both parts, and what a step draws."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_family import FakeFamily, job
from tests.support.pictures import make_folder
from trainer.cache.kept import Kept, latent_of
from trainer.cache.keys import latent_key
from trainer.cache.latents import build_latents, item_key
from trainer.cache.store import Store
from trainer.config.schema.cache import CacheConfig
from trainer.data.datasets import datasets
from trainer.data.media import MediaReader
from trainer.data.scanning import scan_all
from trainer.data.task import Task
from trainer.models.base import build_family

from .test_keys import BASE

MODES = ("sample", "mean", "distribution")
KEY = b"k" * 16
MEAN, STD = torch.linspace(-3, 3, 64).reshape(4, 4, 4), torch.full((4, 4, 4), 0.5)


def drawn(entry, seed=0, sample_id=1, visit=0):
    return latent_of(entry, seed=seed, sample_id=sample_id, visit=visit)


def test_mode_and_precision_are_part_of_the_key():
    """B08 acceptance 1: six forms of one picture are six entries."""
    names = {Kept(mode, dtype).encoder("vae-1") for mode in MODES for dtype in ("fp32", "bf16")}
    assert len(names) == 6
    assert len({latent_key(*BASE[:3], name) for name in names}) == 6


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_mean_is_the_mean(dtype):
    """No noise is in it, whoever asks; bf16 halves its bytes and rounds to 8 bits."""
    entry = Kept("mean", dtype).entry(MEAN, STD, KEY)
    assert entry["latent"].element_size() == {"fp32": 4, "bf16": 2}[dtype]
    found = drawn(entry, seed=3, visit=7)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, MEAN, rtol=0 if dtype == "fp32" else 2**-8, atol=0)


def test_sample_is_drawn_once():
    """It follows from the key, and every visit sees the same."""
    one, two, other = (Kept().entry(MEAN, STD, key)["latent"] for key in (KEY, KEY, b"x" * 16))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert not torch.equal(one, MEAN)
    assert torch.equal(drawn({"latent": one}, visit=1), drawn({"latent": one}, visit=2))


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.integers(0, 2**62)] * 3), st.tuples(*[st.integers(0, 2**62)] * 3))
def test_distribution_draws_by_seed_sample_and_visit(a, b):
    """Equal only for an equal (seed, sample, visit): the same after a resume, new at each visit."""
    entry = Kept("distribution").entry(MEAN, STD, KEY)
    assert torch.equal(drawn(entry, *a), drawn(entry, *b)) == (a == b)


def test_distribution_has_its_mean_and_spread():
    """Over many visits the draws have the posterior's mean and deviation."""
    entry = Kept("distribution").entry(MEAN, STD, KEY)
    draws = torch.stack([drawn(entry, visit=visit) for visit in range(2000)])
    torch.testing.assert_close(draws.mean(0), MEAN, atol=0.06, rtol=0)
    torch.testing.assert_close(draws.std(0), STD, atol=0.05, rtol=0)


def test_autoencoder_without_spread():
    """Where there is nothing to draw, every mode keeps what there is."""
    for mode in MODES:
        assert torch.equal(drawn(Kept(mode).entry(MEAN, None, KEY)), MEAN)


def test_default_is_what_the_family_trains_on():
    """The configuration wins; without one the family's statistic does."""
    facts = FakeFamily().facts
    assert Kept.of(CacheConfig(), facts) == Kept("sample", "fp32")
    chosen = Kept.of(CacheConfig(latents="distribution", dtype="bf16"), facts)
    assert chosen == Kept("distribution", "bf16")


@pytest.mark.parametrize("mode", MODES)
def test_modes_of_a_real_autoencoder_agree(tiny_model, tmp_path, mode):
    """From a file to an entry with a tiny VAE: the drawn latent is mean + std * noise of it."""
    make_folder(tmp_path / "a", 3)
    config = job(tmp_path, {"id": "a", "path": str(tmp_path / "a")})
    model = config.model.model_copy(update={"path": str(tiny_model("flux"))})
    family = build_family(
        config.model_copy(update={"model": model}), torch.device("cpu"), torch.float32
    )
    task = Task(config, family, tmp_path, lambda kind, **fields: None, lambda: False)
    (table,) = scan_all(task, datasets(config, family.facts))
    items, reader = list(table.items()), MediaReader(torch.device("cpu"))
    kept = Kept(mode)
    store = Store(tmp_path / "cache", "latents", kept.encoder("vae"))
    keys = {item_key(item, store.encoder): item for item in items}
    assert build_latents(
        keys,
        family,
        store,
        batch_size=2,
        on_progress=lambda done, total: None,
        should_stop=lambda: False,
        kept=kept,
    )
    family.load("vae")
    for key, item in keys.items():
        mean, std = family.posterior(reader.read(item)[None])
        assert std is not None
        entry = store.get(key)
        found = drawn(entry)
        close = {"rtol": 1e-4, "atol": 1e-4}
        if mode == "mean":
            torch.testing.assert_close(found, mean[0], **close)
        elif mode == "distribution":
            torch.testing.assert_close(entry["mean"], mean[0], **close)
            torch.testing.assert_close(entry["std"], std[0], **close)
        else:
            expected = kept.entry(mean[0], std[0], key)["latent"]
            torch.testing.assert_close(found, expected, **close)

"""Why was it encoded again? The part of the key that changed is named, and no other."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.support.fake_family import FakeFamily, job
from tests.support.pictures import make_folder
from trainer.cache.kept import Kept
from trainer.cache.keys import latent_parts, text_parts
from trainer.cache.store import Store
from trainer.cache.wanted import wanted
from trainer.cache.why import FIRST, difference, why
from trainer.data.prepare import prepare
from trainer.errors import DataError

from .test_keys import BASE


def config(root: Path, *, path: str = "a", cache: dict | None = None, **data):
    sections = {"cache": {"root": str(root / "cache")} | (cache or {})}
    return job(root, {"id": "a", "path": str(root / path)}, data=data, **sections)


def encode(root: Path, family: FakeFamily | None = None, **changes) -> None:
    """Scan and cache as a start does."""
    prepare(
        config(root, **changes),
        family or FakeFamily(),
        on_event=lambda kind, **fields: None,
        should_stop=lambda: False,
    )


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    make_folder(tmp_path / "a", 3, sizes=((96, 64),))
    return tmp_path


def rows(root: Path, kind: str, name: str = "p001.png", **job_changes):
    asked = ()
    if job_changes:
        family = job_changes.pop("family", None) or FakeFamily()
        asked = wanted(config(root, **job_changes), family, root / "cache", root / "a" / name)
    return [r for r in why(root / "cache", root / "a" / name, asked) if r["kind"] == kind]


def test_first_time(root):
    """One latent and two captions, encoded for the first time and stored."""
    encode(root)
    (latent,) = rows(root, "latents")
    assert (latent["state"], latent["reason"], latent["changed"]) == ("stored", FIRST, None)
    assert latent["made"] <= time.time()
    assert [r["reason"] for r in rows(root, "text")] == [FIRST, FIRST]


CHANGES = {
    "resolution": {"defaults": {"resolution": "128px2"}},
    "crop": {"defaults": {"resolution": "64px2", "crop": {"aspect": "square"}}},
    "background": {"defaults": {"resolution": "64px2"}, "background": "000000"},
    "encoder precision": {"cache": {"dtype": "bf16"}},
    "encoder kept": {"cache": {"latents": "distribution"}},
}


@pytest.mark.parametrize("part", ["resolution", "background", "encoder precision", "encoder kept"])
def test_changed_setting_is_named(root, part):
    """Before it is encoded (with the job) and after, by the same name and alone."""
    encode(root)
    (before,) = [r for r in rows(root, "latents", **CHANGES[part]) if r["state"] != "stored"]
    assert (before["state"], before["changed"]) == ("to be encoded", [part])
    encode(root, **CHANGES[part])
    first, second = rows(root, "latents")
    assert (first["changed"], second["changed"]) == (None, [part])
    assert second["reason"] == f"another {part}"
    assert rows(root, "text")[-1]["reason"] == FIRST


def test_square_cut_changes_the_resolution(root):
    """What only follows from another part is not named beside it."""
    encode(root)
    encode(root, **CHANGES["crop"])
    assert rows(root, "latents")[-1]["changed"] == ["resolution"]


def test_other_weights_are_named(root):
    """A new autoencoder is told apart from a new setting."""
    encode(root)
    encode(root, FakeFamily(vae="vae-2"))
    assert rows(root, "latents")[-1]["changed"] == ["encoder weights"]
    assert rows(root, "latents", family=FakeFamily(vae="vae-3"))[-1]["changed"] == [
        "encoder weights"
    ]


def test_edited_picture_is_noticed_without_a_job(root):
    """The bytes of the file are compared with those that were encoded."""
    encode(root)
    Image.new("RGB", (96, 64), (1, 2, 3)).save(root / "a" / "p001.png")
    now = rows(root, "latents")[-1]
    assert (now["state"], now["changed"], now["made"]) == ("to be encoded", ["content"], None)
    encode(root)
    assert [r["changed"] for r in rows(root, "latents")] == [None, ["content"]]
    assert len(rows(root, "latents", "p002.png")) == 1


def test_edited_caption_is_named(root):
    """The path of the caption file finds its sample; the picture is not touched."""
    encode(root)
    (root / "a" / "p001.txt").write_text("a blue apple 1\nsomething new\n")
    encode(root)
    found = rows(root, "text", "p001.txt")
    assert [r["changed"] for r in found] == [None, None, ["caption"]]
    assert found[-1]["parts"]["caption"] == "something new"
    assert len(rows(root, "latents", "p001.txt")) == 1


def test_cleared_entry_is_told(root):
    """Nothing changed, but the entry is gone: that is the reason."""
    encode(root)
    store = Store(root / "cache", "latents", Kept().encoder("vae-1"))
    (before,) = rows(root, "latents")
    store.drop([bytes.fromhex(before["key"])])
    assert rows(root, "latents")[0]["state"] == "cleared"
    to_come = rows(root, "latents", path="a")[-1]
    assert (to_come["state"], to_come["changed"]) == ("to be encoded", [])
    assert "cleared" in to_come["reason"]


def test_failed_sample_says_why(root):
    """A picture that cannot be decoded is in the cache as that."""
    path = root / "a" / "p001.png"
    path.write_bytes(path.read_bytes()[:-80])
    encode(root)
    assert rows(root, "latents")[0]["state"].startswith("failed: ")


def test_unknown_sample_is_a_finding(root):
    """DAT109 says how to name it."""
    encode(root)
    with pytest.raises(DataError) as error:
        why(root / "cache", root / "b" / "p001.png")
    assert error.value.finding.code == "DAT109"


def test_relative_path_is_looked_up_from_here(root, monkeypatch):
    """As every other program takes it."""
    encode(root)
    monkeypatch.chdir(root / "a")
    assert why(root / "cache", Path("p001.png"))[0]["relpath"] == "p001.png"
    assert os.fspath(root / "a") == why(root / "cache", Path("p001.png"))[0]["source"]


def test_every_part_of_a_key_has_a_name():
    """What changes the key changes a named part, too, so no change is without a reason."""
    from tests.unit.trainer.cache.test_keys import test_every_input_changes_the_latent_key as point

    cases = point.pytestmark[0].args[1]
    assert len(cases) == 7
    base = latent_parts(*BASE[:3])
    for case in cases[:-1]:
        assert difference(base, latent_parts(*case[:3]))
    assert difference(text_parts("a"), text_parts("b")) == ["caption"]

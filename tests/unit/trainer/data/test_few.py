"""A few samples of each bucket: the same samples as in the whole table, and no other is read."""

from __future__ import annotations

import pytest

from tests.support.fake_family import FakeFamily, job
from tests.support.pictures import make_folder
from trainer.data.index import Index
from trainer.data.prepare import prepare
from trainer.errors import DataError

SIZES = ((64, 64), (128, 64), (64, 128))


def prepared(root, *datasets, few=None, **sections):
    config = job(root, *datasets, **sections)
    return prepare(
        config, FakeFamily(), on_event=lambda *_, **__: None, should_stop=lambda: False, few=few
    )


def rows(made) -> dict[str, list]:
    """Samples by bucket: name, content, placement, captions and partners."""
    plan = made.plan_train
    return {
        pool.name: [
            (i.relpath, i.content, i.placement, i.captions, [p.relpath for p in i.partners])
            for i in (plan.item(number, place) for place in range(pool.rows))
        ]
        for number, pool in enumerate(plan.pools)
    }


@pytest.mark.parametrize("count", [1, 2])
def test_the_samples_are_those_of_the_whole_table(count, tmp_path):
    """Every bucket, at most so many of each, equal in all that training sees."""
    make_folder(tmp_path / "a", 12, sizes=SIZES)
    dataset = {"id": "a", "path": str(tmp_path / "a")}
    some = prepared(tmp_path / "few", dataset, few=count)
    everything = rows(prepared(tmp_path / "all", dataset))
    found = rows(some)
    assert found.keys() == everything.keys()
    for name, samples in found.items():
        assert len(samples) == count
        assert samples == everything[name][:count]
    assert some.funnels["a"].found == some.funnels["a"].used == 12


def test_no_other_sample_is_read(tmp_path, monkeypatch):
    """Digests are made of the samples that are taken alone."""
    read: list[str] = []
    plain = Index._hash

    def noted(self, place):
        read.append(place[0])
        return plain(self, place)

    monkeypatch.setattr(Index, "_hash", noted)
    make_folder(tmp_path / "a", 12, sizes=SIZES)
    made = prepared(tmp_path, {"id": "a", "path": str(tmp_path / "a")}, few=1)
    assert sorted(read) == sorted(row[0] for found in rows(made).values() for row in found)
    assert len(read) == 3


def test_partners_come_along_and_are_no_orphans(tmp_path):
    """Masks and conditioning of the samples that are taken; the others' are not complained of."""
    for name, seed in (("a", 0), ("m", 1)):
        make_folder(tmp_path / name, 9, sizes=SIZES, seed=seed)
    made = prepared(
        tmp_path,
        {"id": "a", "path": str(tmp_path / "a"), "conditioning": [{"dataset": "m"}]},
        {"id": "m", "path": str(tmp_path / "m"), "role": "mask"},
        few=1,
    )
    for samples in rows(made).values():
        ((path, _, _, _, partners),) = samples
        assert partners == [path]
    assert "DAT015" not in {f.code for f in made.findings}


def test_a_loss_anywhere_in_the_dataset_is_still_met(tmp_path):
    """The header of every file is looked at: a broken one counts though it would not be taken."""
    folder = make_folder(tmp_path / "a", 12, sizes=SIZES)
    (folder / "p011.png").write_bytes(b"broken")
    with pytest.raises(DataError) as error:
        prepared(
            tmp_path,
            {"id": "a", "path": str(tmp_path / "a")},
            few=1,
            data={"on_corrupt": "fail", "defaults": {"resolution": "64px2"}},
        )
    assert error.value.finding.code == "DAT003"


def test_samples_left_out_by_settings_are_not_taken(tmp_path):
    """max_samples bounds the whole, min_size and overlays choose before."""
    make_folder(tmp_path / "a", 12, sizes=SIZES)
    dataset = {"id": "a", "path": str(tmp_path / "a"), "max_samples": 5}
    found = rows(prepared(tmp_path / "few", dataset, few=9))
    assert found == rows(prepared(tmp_path / "all", dataset))
    assert sum(map(len, found.values())) == 5

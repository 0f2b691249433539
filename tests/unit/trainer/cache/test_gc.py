"""Cleaning up: what is used stays, the longest unused goes first, and no crash leaves a hole."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import cached, child
from tests.support.cached import end, key, on_disk, put, raw, run_dir, stored, use
from trainer.cache import compact, gc, marks
from trainer.cache.gc import DAY_S, collect
from trainer.cache.references import is_resumable
from trainer.cache.tables import open_index, shard_path

NOW = time.time()
END = {  # how a run ended -> whether it still protects what it uses
    "running": True,
    "failed": True,
    "preempted": True,
    "stopped": True,
    "succeeded": False,
    "cancelled": False,
    "removed": False,
}


def finish(run: Path, how: str) -> None:
    match how:
        case "running":
            pass
        case "removed":
            for path in run.iterdir():
                path.unlink()
            run.rmdir()
        case "cancelled":
            end(run, "stopped", "cancel")
        case "stopped":
            end(run, "stopped", "stop")
        case _:
            end(run, how)


@pytest.mark.parametrize(("how", "protects"), END.items())
def test_which_runs_protect(tmp_path, how, protects):
    """A run that can go on protects what it uses; one that ended for good does not."""
    run = run_dir(tmp_path, "one")
    put(tmp_path, range(4), made=NOW - 100 * DAY_S)
    use(tmp_path, run, range(4), used=NOW - 100 * DAY_S)
    finish(run, how)
    assert is_resumable(run) == protects
    collect(tmp_path)
    assert stored(tmp_path) == (set(range(4)) if protects else set())
    assert bool(on_disk(tmp_path)) == protects


numbers = st.integers(0, 29)
shards = st.lists(st.tuples(st.sets(numbers, min_size=1), st.integers(1, 400)), max_size=5)
uses = st.lists(st.tuples(st.sets(numbers), st.sampled_from([*END, None])), max_size=4)


@settings(max_examples=40, deadline=None)
@given(shards, uses, st.integers(1, 400), st.integers(0, 60_000), st.booleans())
def test_quota_and_references_are_respected(given_shards, given_uses, used, quota, both):
    """B08 acceptance 7. Whatever is stored and used: protected entries stay; the size comes under
    the quota unless nothing but protected ones is left; nothing that stays was unused for longer
    than what went; the files on the disk are those of the index."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        last: dict[int, float] = {}
        for members, days in given_shards:
            made = NOW - days * DAY_S
            put(root, members, made=made)
            for number in members - last.keys():
                last[number] = made
        protected: set[int] = set()
        for i, (members, how) in enumerate(given_uses):
            at = NOW - (used + i) * DAY_S
            run = None if how is None else run_dir(root, str(i))
            with closing(cached.objects(root)) as store:
                store.reference(run, str(i), map(key, members))
                store._db.execute("UPDATE reference SET used = ? WHERE dataset = ?", (at, str(i)))
            if run is not None and how is not None:
                finish(run, how)
                protected |= members if END[how] else set()
            last |= {n: max(last[n], at) for n in members & last.keys()}
        before = stored(root)
        unused_days = 200.0 if both else None
        foreseen = collect(root, quota=quota, unused_days=unused_days, dry_run=True)
        assert stored(root) == before
        done = collect(root, quota=quota, unused_days=unused_days)
        after = stored(root)
        assert done.entries == foreseen.entries == len(before - after)
        assert protected & before <= after
        assert done.bytes_after == on_disk(root)
        assert done.bytes_after <= quota or after <= protected
        assert (done.bytes_after > quota) == any(f.code == "DAT104" for f in done.findings)
        free = after - protected
        if free and before - after:
            assert max(last[n] for n in before - after) <= min(last[n] for n in free)
        if both:
            assert all(last[n] >= NOW - 201 * DAY_S for n in free)


def test_without_a_quota_only_what_was_long_unused_goes(tmp_path):
    """Thirty days by default, counted from the last use, not from when it was made."""
    put(tmp_path, [1, 2], made=NOW - 90 * DAY_S)
    put(tmp_path, [3], made=NOW - 2 * DAY_S)
    use(tmp_path, None, [2], used=NOW - 10 * DAY_S)
    collect(tmp_path)
    assert stored(tmp_path) == {2, 3}
    collect(tmp_path, unused_days=5)
    assert stored(tmp_path) == {3}


def test_half_empty_shards_are_rewritten_and_keep_their_age(tmp_path):
    """Room of cleared entries is given back; being moved does not make an entry younger."""
    old = NOW - 90 * DAY_S
    shard = put(tmp_path, range(10), made=old)
    use(tmp_path, None, range(3), used=NOW)
    done = collect(tmp_path)
    assert (done.entries, done.shards_rewritten) == (7, 1)
    assert done.bytes_after == on_disk(tmp_path) < done.bytes_before / 2
    path = next(tmp_path.glob("latents/vae-1/*.st"))
    assert path.name != f"{shard:06d}.st"
    assert path.stat().st_mtime == pytest.approx(old)


def test_many_small_shards_become_one(tmp_path):
    """A caption edited a day is a shard a day; they do not pile up."""
    for number in range(20):
        put(tmp_path, [number])
    collect(tmp_path)
    assert stored(tmp_path) == set(range(20))
    assert len(list(tmp_path.glob("latents/vae-1/*.st"))) == 1


def test_damaged_entry_is_not_carried_over(tmp_path):
    """Rewriting checks what it moves; the damaged entry is missing afterwards, not wrong."""
    shard = put(tmp_path, range(10), made=NOW - 90 * DAY_S)
    use(tmp_path, None, [1, 2], used=NOW)
    path = shard_path(tmp_path, "latents", "vae-1", shard)
    data = bytearray(path.read_bytes())
    at = data.index(raw(2).data[:64])
    data[at] ^= 1
    path.write_bytes(data)
    os.utime(path, (NOW - 90 * DAY_S,) * 2)
    collect(tmp_path)
    assert stored(tmp_path) == {1}


def test_reference_made_during_the_clean_up_is_respected(tmp_path, monkeypatch):
    """A run that starts between choosing and deleting keeps what it is about to use."""
    put(tmp_path, range(6), made=NOW - 90 * DAY_S)
    run = run_dir(tmp_path, "late")
    sweep = gc._sweep

    def late(*args):
        use(tmp_path, run, [2, 3])
        sweep(*args)

    monkeypatch.setattr(gc, "_sweep", late)
    done = collect(tmp_path)
    assert stored(tmp_path) == {2, 3}
    assert done.entries == 4


def test_lost_list_of_keys_protects_everything_of_its_kind(tmp_path):
    """When it is not known what a run uses, nothing of that store goes, and it is said (DAT106)."""
    run = run_dir(tmp_path, "one")
    put(tmp_path, range(6), made=NOW - 90 * DAY_S)
    use(tmp_path, run, [1], used=NOW)
    next((tmp_path / "refs").iterdir()).write_bytes(b"short")
    done = collect(tmp_path, quota=0)
    assert stored(tmp_path) == set(range(6))
    assert [f.code for f in done.findings] == ["DAT106", "DAT104"]
    assert str(run) in done.findings[0].message


def test_lists_of_keys_go_with_the_last_reference(tmp_path):
    """Two runs on the same data share one list; it goes when neither needs it."""
    runs = [run_dir(tmp_path, name) for name in ("one", "two")]
    put(tmp_path, range(6))
    for run in runs:
        use(tmp_path, run, range(6), used=NOW - 90 * DAY_S)
    assert len(list((tmp_path / "refs").iterdir())) == 1
    end(runs[0], "succeeded")
    collect(tmp_path)
    assert len(list((tmp_path / "refs").iterdir())) == 1
    end(runs[1], "succeeded")
    collect(tmp_path)
    assert not list((tmp_path / "refs").iterdir())


def test_files_that_nobody_knows_are_removed(tmp_path):
    """Left by crashes, or by an index that was deleted; a shard being written is left alone."""
    put(tmp_path, [1])
    folder = tmp_path / "latents" / "vae-1"
    with closing(cached.objects(tmp_path)) as store, store._write() as db:
        young, old = store.new_shard(db), store.new_shard(db)
    writing = [folder / f"{young:06d}.st", folder / f".{young:06d}.st.abc"]
    abandoned = [folder / f"{old:06d}.st", folder / f".{old:06d}.st.abc"]
    unknown = [folder / "000999.st", folder / ".000001.st.xyz"]
    other = folder / "notes.txt"
    for path in (*writing, *abandoned, *unknown, other):
        path.write_bytes(b"x")
    for path in abandoned:
        os.utime(path, (NOW - 2 * gc.ABANDONED_S,) * 2)
    collect(tmp_path)
    assert all(path.exists() for path in (*writing, other))
    assert not any(path.exists() for path in (*abandoned, *unknown))
    assert stored(tmp_path) == {1}


def test_writer_that_was_given_up_writes_again(tmp_path, monkeypatch):
    """A process that was suspended while it wrote a shard loses nothing by a clean-up."""
    with closing(cached.objects(tmp_path)) as store:
        complete, asked = store.complete, []

        def suspended(db, number, size):
            if not asked:
                asked.append(number)
                db.execute("DELETE FROM shard WHERE id = ?", (number,))
            return complete(db, number, size)

        monkeypatch.setattr(store, "complete", suspended)
        store.put_raw({key(1): raw(1)}, {})
    collect(tmp_path)
    assert stored(tmp_path) == {1}
    on_disk(tmp_path)


POINTS = [
    *(f"gc.after_sweep@{n}" for n in (1, 2, 3, 5, 6)),
    *(f"gc.before_unlink@{n}" for n in (1, 2)),
    *(f"gc.after_write@{n}" for n in (1, 2, 4)),
    *(f"gc.after_commit@{n}" for n in (1, 2, 4)),
    *(f"gc.before_orphans@{n}" for n in (1,)),
]


@pytest.fixture
def worn(tmp_path, monkeypatch):
    """Six shards, of which some are cleared whole and some by more than half."""
    monkeypatch.setattr(compact, "SHARD_BYTES", 6000)
    for shard in range(6):
        put(tmp_path, range(10 * shard, 10 * shard + 10), made=NOW - 90 * DAY_S)
    run = run_dir(tmp_path, "one")
    kept = {0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32}  # of 40.. and 50.. nothing
    use(tmp_path, run, kept, used=NOW - 90 * DAY_S)
    return tmp_path, kept


@pytest.mark.parametrize("point", POINTS)
def test_killed_clean_up_leaves_the_cache_whole(worn, point):
    """SIGKILL at a named point: what is used is readable at once, and the next clean-up ends as
    one that was never interrupted."""
    root, kept = worn
    assert child.run(lambda: collect(root), f"{point}=kill") == -signal.SIGKILL
    assert kept <= stored(root)
    collect(root)
    assert stored(root) == kept
    on_disk(root)


def test_readers_go_on_while_shards_are_rewritten(worn):
    """A reader that lost its shard looks where the entry lies now; none is called damaged."""
    root, kept = worn
    wrong: list[BaseException] = []
    reads = 0
    stop = threading.Event()

    def read() -> None:
        nonlocal reads
        try:
            while not stop.is_set():
                with closing(cached.objects(root)) as store:  # without an open file of before
                    for number in kept:
                        assert store.read(key(number)).data == raw(number).data
                reads += 1
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    collect(root)
    with closing(open_index(root)) as db, closing(cached.objects(root)) as store:
        for _ in range(40):
            for (number,) in db.execute("SELECT DISTINCT shard FROM blob").fetchall():
                compact.rewrite(db, store, [number])
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert reads > 3
    assert stored(root) == kept


def test_reader_with_an_old_place_finds_the_new_one(worn, monkeypatch):
    """The index is asked again exactly when the shard is gone."""
    root, kept = worn
    with closing(cached.objects(root)) as store:
        find = store._find
        places = [find(key(0))]
        collect(root)
        monkeypatch.setattr(store, "_find", lambda k: places.pop() if places else find(k))
        assert store.read(key(0)).data == raw(0).data
    assert kept == stored(root)


def test_clean_ups_take_turns(worn):
    """Two at once do not get into each other's way."""
    root, kept = worn
    children = [child.start(lambda: collect(root)) for _ in range(3)]
    assert [child.wait(pid) for pid in children] == [0, 0, 0]
    assert stored(root) == kept
    on_disk(root)


def test_cost_is_never_too_low(tmp_path):
    """The estimate behind the quota covers the header: a full shard is not larger than it."""
    put(tmp_path, range(40), size=1)
    with closing(open_index(tmp_path)) as db:
        size = db.execute("SELECT sum(num_bytes) FROM shard").fetchone()[0]
        cost = db.execute(f"SELECT sum({marks.COST}) FROM blob b").fetchone()[0]
    assert size <= cost + marks.SHARD_COST <= 2 * size

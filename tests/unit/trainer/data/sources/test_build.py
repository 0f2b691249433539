"""From a job file to pictures, for every kind of source: written, checked, indexed and read."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.support.indexed import picture
from tests.unit.trainer.data.sources.conftest import put_folder
from trainer import catalog
from trainer.config.resolve import resolve
from trainer.data.dataset import Dataset
from trainer.data.datasets import cache_root, datasets, index_of

JOB = """
[model]
family = "flux"
[train]
steps = 10
[cache]
root = "cache"
[[data.datasets]]
id = "set"
"""


def dataset_of(folder: Path, lines: str) -> tuple[Dataset, Path]:
    """The dataset of a job in `folder`; the job must be without findings."""
    resolved = resolve(JOB + lines, base_dir=folder, env={})
    assert resolved.findings == []
    assert resolved.config is not None
    (dataset,) = datasets(resolved.config, catalog.family_facts("flux"))
    return dataset, cache_root(resolved.config)


def holds_the_folder(folder: Path, lines: str) -> None:
    """Every picture of `folder` with its caption, through index and source."""
    dataset, root = dataset_of(folder.parent, lines)
    index = index_of(root, dataset.source, dataset.kind)
    index.scan(lambda done: None)
    index.hash_contents(1, lambda done: None)
    rows = list(index.rows())
    assert len(rows) == 5
    for number, row in enumerate(rows):
        assert row.text is not None
        assert f"apple {number}" in row.text
        with Image.open(folder / f"p{number:03d}.png") as expected:
            assert picture(dataset.source, row).tobytes() == expected.tobytes()
    dataset.source.close()


def frame(folder: Path) -> pd.DataFrame:
    paths = sorted(folder.glob("*.png"))
    return pd.DataFrame(
        {
            "file_name": [f"set/{p.name}" for p in paths],
            "image": [p.read_bytes() for p in paths],
            "words": [p.with_suffix(".txt").read_text() for p in paths],
        }
    )


def test_a_folder(folder):
    """In short, and in full."""
    holds_the_folder(folder, 'path = "set"')
    holds_the_folder(folder, 'source = {path = "set"}')


@pytest.mark.parametrize("place", ["shards", "shards/a.tar", "shards/*.tar"])
def test_shards(folder, place):
    """A folder, a file and a pattern, relative to the job file."""
    (folder.parent / "shards").mkdir()
    with tarfile.open(folder.parent / "shards" / "a.tar", "w") as tar:
        tar.add(folder, "x")
    holds_the_folder(folder, f'source = {{kind = "tar", path = "{place}"}}')


def test_a_bucket_and_shards_in_it(folder, bucket):
    """Objects under a prefix, and tars by an s3:// address."""
    place = bucket.place
    put_folder(bucket, folder, "sets/cats/")
    service = f'endpoint = "{place.endpoint}", region = "eu-central-1"'
    source = f'kind = "s3", bucket = "{place.bucket}", prefix = "sets/", {service}'
    holds_the_folder(folder, f"source = {{{source}}}")
    (folder.parent / "tars").mkdir()
    with tarfile.open(folder.parent / "tars" / "a.tar", "w") as tar:
        tar.add(folder, "x")
    put_folder(bucket, folder.parent / "tars", "tars/")
    source = f'kind = "tar", path = "s3://{place.bucket}/tars/", {service}'
    holds_the_folder(folder, f"source = {{{source}}}")


CAPTION = 'caption = {source = "table", column = "words"}'


def test_tables(folder):
    """Paths, embedded bytes, and bare names with prefix and ending."""
    whole = frame(folder)
    whole.drop(columns="image").to_csv(folder.parent / "t.csv", index=False)
    holds_the_folder(folder, f'source = {{kind = "table", path = "t.csv"}}\n{CAPTION}')
    whole.to_parquet(folder.parent / "t.parquet")
    holds_the_folder(folder, f'source = {{kind = "table", path = "t.parquet"}}\n{CAPTION}')
    bare = pd.DataFrame({"id": [f"p{n:03d}" for n in range(5)], "words": whole["words"]})
    bare.to_json(folder.parent / "t.jsonl", orient="records", lines=True)
    keys = 'media_column = "id", prefix = "set/", extension = ".png"'
    holds_the_folder(folder, f'source = {{kind = "table", path = "t.jsonl", {keys}}}\n{CAPTION}')


def test_a_hugging_face_dataset(folder):
    """Saved to disk."""
    datasets = pytest.importorskip("datasets", reason="the extra hub is not installed")
    made = datasets.Dataset.from_pandas(frame(folder)).cast_column("image", datasets.Image())
    made.save_to_disk(folder.parent / "saved")
    source = 'kind = "hf", path = "saved", name_column = "file_name"'
    holds_the_folder(folder, f"source = {{{source}}}\n{CAPTION}")


def test_sources_of_different_content_have_different_indices(folder):
    """What changes the listing or the captions changes the name of the index."""
    frame(folder).to_parquet(folder.parent / "t.parquet")
    table = 'source = {kind = "table", path = "t.parquet"'
    variants = [
        f"{table}}}\n{CAPTION}",
        f'{table}, name_column = "file_name"}}\n{CAPTION}',
        f'{table}, media_column = "file_name"}}\n{CAPTION}',
        f'{table}, media_column = "file_name", prefix = "x"}}\n{CAPTION}',
        f'{table}}}\ncaption = {{source = "table", column = "file_name"}}',
        f'{table}}}\ncaption = {{source = "table", column = "words", fallback_column = "image"}}',
        'path = "set"',
        'source = {kind = "tar", path = "set"}',
        'path = "set"\ncaption = {source = "json"}',
    ]
    identities = [dataset_of(folder.parent, lines)[0].source.identity for lines in variants]
    assert len(set(identities)) == len(variants)

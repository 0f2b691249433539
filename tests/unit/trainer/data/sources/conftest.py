"""A running S3 server, and buckets in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import s3
from tests.support.pictures import make_folder
from trainer.data.sources.objects import Bucket, Patience, Place

CALM = Patience(read_s=60.0, tries=2)  # for a server on a busy machine
QUICK = Patience(connect_s=0.3, read_s=0.3, tries=2, pause_s=0.01)


@pytest.fixture(scope="session")
def service() -> Iterator[str]:
    if "REQUIRE_PEERS" not in os.environ:
        pytest.importorskip("moto", reason="moto[server,s3] is not installed")
        pytest.importorskip("boto3", reason="boto3 is not installed")
    with s3.moto() as address:
        yield address


@pytest.fixture
def credentials(monkeypatch, tmp_path: Path) -> None:
    """Those of the environment; what the machine's own files say does not matter."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-shown")


@pytest.fixture
def bucket(service: str, credentials: None, request) -> Iterator[Bucket]:
    """An empty bucket of its own."""
    name = f"b{abs(hash(request.node.nodeid))}"
    bucket = Bucket(Place(name, service), CALM)
    bucket._client().create_bucket(Bucket=name)
    yield bucket
    bucket.close()


def put(bucket: Bucket, key: str, data: bytes) -> None:
    bucket._client().put_object(Bucket=bucket.place.bucket, Key=key, Body=data)


def put_folder(bucket: Bucket, folder: Path, prefix: str) -> None:
    for path in sorted(folder.iterdir()):
        put(bucket, prefix + path.name, path.read_bytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "set", 5)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "index" / "set.db"

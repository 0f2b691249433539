"""Objects of a bucket are samples: listed by prefix, looked at by ranges, read where new."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.support import s3
from tests.support.indexed import Counted, asks_nothing_twice, picture, scanned
from tests.unit.trainer.data.sources.conftest import CALM, QUICK, put, put_folder
from trainer.data.captions import CaptionFile, parse_text
from trainer.data.sources import objects as module
from trainer.data.sources.base import Found
from trainer.data.sources.objects import Bucket, Place
from trainer.data.sources.s3 import Objects
from trainer.errors import DataError

CAPTION = CaptionFile(".txt", ".txt", parse_text)


def objects(bucket: Bucket, prefix: str = "") -> Objects:
    return Objects(bucket, prefix, "image", CAPTION)


def png(width: int = 8, height: int = 8) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (width, height, 0)).save(file, "PNG")
    return file.getvalue()


def test_a_prefix_is_indexed_once(bucket, folder, database):
    """Pictures and captions come with their facts; the second scan opens nothing."""
    put_folder(bucket, folder, "sets/cats/")
    source = objects(bucket, "sets/cats/")
    rows = asks_nothing_twice(source, database)
    assert list(rows) == [f"p{n:03d}.png" for n in range(5)]
    assert (rows["p001.png"].facts.width, rows["p001.png"].text) == (
        64,
        "a blue apple 1\na blue thing",
    )
    with Image.open(folder / "p001.png") as expected:
        assert picture(source, rows["p001.png"]).tobytes() == expected.tobytes()


def test_nothing_is_downloaded_to_know_the_contents(bucket, folder, database):
    """A scan opens each object once, for its header; equal bytes have one digest."""
    put_folder(bucket, folder, "")
    put(bucket, "copy.png", (folder / "p000.png").read_bytes())
    source = Counted(objects(bucket))
    rows = scanned(source, database)
    assert sorted(source.opened) == sorted(rows)
    assert rows["copy.png"].content == rows["p000.png"].content
    assert len({r.content for r in rows.values()}) == 5


def test_a_replaced_object_and_an_edited_caption_are_noticed(bucket, folder, database):
    """Each costs one look, at what changed."""
    put_folder(bucket, folder, "")
    before = scanned(objects(bucket), database)
    put(bucket, "p001.png", png())
    put(bucket, "p002.txt", b"new words")
    source = Counted(objects(bucket))
    after = scanned(source, database)
    assert (source.opened, source.captioned) == (["p001.png"], ["p002.png"])
    assert after["p001.png"].content != before["p001.png"].content
    assert after["p002.png"].text == "new words"


def test_only_the_prefix_is_listed_and_names_are_relative(bucket, database):
    """A prefix is text, as in the store: "sets/cat" also begins "sets/cats2/"."""
    for key in ("sets/cat/a.png", "sets/cats2/b.png", "sets/dog/c.png", "cat/d.png"):
        put(bucket, key, png())
    assert list(scanned(objects(bucket, "sets/cat"), database)) == ["cat/a.png", "cats2/b.png"]


def test_more_keys_than_a_page_holds(bucket, database):
    """Pages follow each other, sorted; captions are found across their border."""
    pages = []
    events = bucket._client().meta.events
    events.register("before-parameter-build.s3.ListObjectsV2", lambda params, **_: _small(params))
    events.register("before-call.s3.ListObjectsV2", lambda **_: pages.append(1))
    for number in range(12):
        put(bucket, f"{number:04d}.png", b"")
        put(bucket, f"{number:04d}.txt", b"words")
    found = list(objects(bucket).listing())
    assert [f.relpath for f in found] == [f"{n:04d}.png" for n in range(12)]
    assert all(f.caption for f in found)
    assert len(pages) == 5


def _small(params: dict) -> None:
    params["MaxKeys"] = 5


def test_odd_names(bucket, database):
    """Unicode, blanks, plus and percent signs, very long names, hidden and empty objects."""
    names = ["ü/猫 .png", "a+b%20c.png", "x" * 900 + ".png", "&<>\"'.png"]
    for name in [*names, "._hidden.png", ".git/x.png", "folder/"]:
        put(bucket, name, png())
    put(bucket, "empty.png", b"")
    put(bucket, "ü/猫 .txt", b"eine Katze")
    rows = scanned(objects(bucket), database)
    assert sorted(rows) == sorted([*names, "empty.png"])
    assert rows["empty.png"].reason == "the file is empty"
    assert rows["ü/猫 .png"].text == "eine Katze"
    assert all(rows[name].facts.width == 8 for name in names)


def test_an_object_that_changed_since_the_scan_is_refused(bucket, database):
    """Its bytes would not be those that were indexed."""
    put(bucket, "a.png", png())
    source = objects(bucket)
    row = scanned(source, database)["a.png"]
    put(bucket, "a.png", png(9, 9))
    with source.open("a.png", row.locator) as file, pytest.raises(OSError, match="replaced"):
        file.read()
    bucket._client().delete_object(Bucket=bucket.place.bucket, Key="a.png")
    with source.open("a.png", row.locator) as file, pytest.raises(OSError, match="gone"):
        file.read()


def test_a_profile_is_used(service, bucket, credentials, monkeypatch, tmp_path):
    """Credentials of a named profile, without any in the environment."""
    put(bucket, "a.png", png())
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "aws-credentials").write_text(
        "[training]\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    place = Place(bucket.place.bucket, service, profile="training")
    assert len(list(objects(Bucket(place, CALM)).listing())) == 1


# --- what can go wrong ---------------------------------------------------------------------------


def refused(place: Place, code: str) -> str:
    with pytest.raises(DataError) as error:
        list(objects(Bucket(place, QUICK)).listing())
    found = error.value.finding
    assert found.code == code
    assert place.bucket in found.message
    assert found.fix
    assert "never-shown" not in str(found.model_dump())
    return found.message


def test_a_missing_bucket(service, credentials):
    """Is told by name."""
    assert "NoSuchBucket" in refused(Place("nowhere", service), "DAT022")


def test_a_silent_store_is_given_up(credentials):
    """A service that never answers ends in a finding after the tries, not in waiting."""
    with s3.silent() as address:
        assert "no answer in time" in refused(Place("photos", address), "DAT020")


def test_no_connection(credentials):
    """Nothing listens at the address."""
    with s3.silent() as address:
        pass
    refused(Place("photos", address), "DAT020")


@pytest.mark.parametrize("endpoint", ["minio:9000", "https://", "http://[::1"])
def test_an_impossible_address(endpoint, credentials):
    """An endpoint that is no URL."""
    refused(Place("photos", endpoint), "DAT020")


def test_an_impossible_bucket_name(service, credentials):
    """A name that no store has."""
    refused(Place("no spaces here", service), "DAT022")


def test_denied_access(credentials):
    """The store's own words are passed on."""
    with s3.answering(lambda h: s3.failure(h, 403, "AccessDenied", "not yours")) as address:
        assert "AccessDenied: not yours" in refused(Place("photos", address), "DAT021")


def test_another_region(credentials):
    """A redirect to where the bucket is."""
    with s3.answering(lambda h: s3.failure(h, 301, "PermanentRedirect", "go")) as address:
        refused(Place("photos", address), "DAT022")


def test_no_credentials(service, credentials, monkeypatch):
    """Neither environment nor profile has any."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    refused(Place("photos", service), "DAT021")


def test_a_profile_that_does_not_exist(service, credentials):
    """Is named."""
    assert "nobody" in refused(Place("photos", service, profile="nobody"), "DAT021")


def test_something_else_than_a_store(credentials):
    """A web page where a store should be."""
    with s3.answering(lambda h: s3.reply(h, 200, "<html>hello", "text/html")) as address:
        refused(Place("photos", address), "DAT024")


OUT_OF_ORDER = (
    "<ListBucketResult><IsTruncated>false</IsTruncated>"
    + "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00Z</LastModified>"
        "<Size>1</Size></Contents>"
        for key in ("b.png", "a.png")
    )
    + "</ListBucketResult>"
)
SESSION = (
    "<CreateSessionResult><Credentials><SessionToken>t</SessionToken><SecretAccessKey>s"
    "</SecretAccessKey><AccessKeyId>a</AccessKeyId><Expiration>2999-01-01T00:00:00Z</Expiration>"
    "</Credentials></CreateSessionResult>"
)


def test_keys_out_of_order_are_not_taken_for_a_listing(credentials):
    """The index would lose samples; a store of that kind is refused."""
    with s3.answering(lambda h: s3.reply(h, 200, OUT_OF_ORDER)) as address:
        assert "'a.png' is listed after 'b.png'" in refused(Place("photos", address), "DAT024")


def test_directory_buckets_are_sorted(credentials):
    """The one kind of bucket that has no order by design, and says so in its name."""

    def answer(handler) -> None:
        s3.reply(handler, 200, SESSION if "session" in handler.path else OUT_OF_ORDER)

    with s3.answering(answer) as address:
        place = Place("set--use1-az4--x-s3", address)
        assert [o.key for o in Bucket(place, QUICK).objects("")] == ["a.png", "b.png"]


def busy_then(body: str, failures: int):
    left = [failures]

    def answer(handler) -> None:
        left[0] -= 1
        if left[0] >= 0:
            s3.failure(handler, 503, "SlowDown", "later")
        else:
            s3.reply(handler, 200, body)

    return answer


def test_a_busy_store_is_asked_again(credentials):
    """A passing refusal costs a pause, not the scan."""
    page = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    with s3.answering(busy_then(page, 1)) as address:
        assert list(objects(Bucket(Place("photos", address), QUICK)).listing()) == []
    with s3.answering(busy_then(page, 2)) as address:
        assert "SlowDown" in refused(Place("photos", address), "DAT024")


def test_a_cut_transfer_is_asked_for_again(credentials):
    """An object whose connection breaks in the middle is read whole at the second try."""
    asked = []

    def answer(handler) -> None:
        asked.append(handler.path)
        handler.send_response(206)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.write(b"0123456789"[: 10 if len(asked) > 1 else 4])
        handler.close_connection = True

    with s3.answering(answer) as address:
        assert Bucket(Place("photos", address), QUICK).read("a", "", 0, 10) == b"0123456789"
    assert len(asked) == 2


def test_a_trickle_is_given_up(monkeypatch):
    """A body that comes byte by byte passes every socket timeout, but not the time limit."""
    clock = iter(range(1000))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    body = io.BytesIO(bytes(100))
    monkeypatch.setattr(module, "PIECE", 1)
    with pytest.raises(TimeoutError):
        list(module._in_time(body, until=9))
    assert body.tell() == 11


def test_a_store_that_falls_silent_ends_the_scan(credentials, database, monkeypatch):
    """A few samples are refused for now; then the store counts as gone, instead of each waiting."""
    asked = []
    read = Bucket.read
    monkeypatch.setattr(Bucket, "read", lambda *args: asked.append(args) or read(*args))
    with s3.silent() as address:
        source = Counted(objects(Bucket(Place("photos", address), QUICK)))
        source.listing = lambda: (
            Found(f"{n:04d}.png", "9 e", (9, n, n), None, b"x" * 16) for n in range(1000)
        )
        with pytest.raises(DataError) as error:
            scanned(source, database)
    assert error.value.finding.code == "DAT020"
    assert "photos" in error.value.finding.message
    assert len(asked) < 10


def test_the_missing_library_is_named(monkeypatch, credentials):
    """Without boto3, the extra that brings it is told."""
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with pytest.raises(DataError) as error:
        list(objects(Bucket(Place("photos"), QUICK)).listing())
    assert "simpletuner-terminal[s3]" in error.value.finding.fix

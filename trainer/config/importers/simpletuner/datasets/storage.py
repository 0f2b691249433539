"""Where the samples of an entry lie."""

from __future__ import annotations

from trainer.config.importers.simpletuner.datasets.entry import Entry
from trainer.config.importers.simpletuner.datasets.table import SECRETS

_COLUMNS = {"image": "image_column", "video": "video_column", "audio": "audio_column"}
_BACKENDS = ("discovery", "json", "filesystem", "huggingface", "webshart")


def storage(entry: Entry) -> None:
    _secrets(entry)
    if entry.caption_strategy == "parquet":
        _parquet(entry)
    elif entry.type == "local":
        _folder(entry)
    elif entry.type == "aws":
        _bucket(entry)
    elif entry.type == "csv":
        _csv(entry)
    elif entry.type == "huggingface":
        _hub(entry)
    elif entry.type == "webshart":
        _shards(entry)
    else:
        entry.source.unsupported("type", f"samples are not read from {entry.type!r}")
        entry.tell(
            "IMP007",
            f"dataset {entry.id}: samples are not read from {entry.type!r}",
            "type",
            fix="set path, or [data.datasets.source], yourself",
        )
    backend = entry.read("metadata_backend", "text")
    if backend in _BACKENDS:
        entry.source.ignored("metadata_backend", "what to list follows from the source")
    elif backend == "parquet":
        note = "all files of the source, not only those that the table lists"
        entry.source.approximated("metadata_backend", f"{entry.path}.path", note)


def _secrets(entry: Entry) -> None:
    for name, place in SECRETS.items():
        if entry.given(name):
            entry.source.ignored(name, f"secrets never stand in a job file: {place}")
            why = "a job file is kept with the run and shown to others"
            message = f"dataset {entry.id}: {name} is left out"
            entry.tell("IMP009", message, name, why=why, fix=place, level="info")
        entry.source.ignored(name, "it is empty")


def _folder(entry: Entry) -> None:
    entry.carry("instance_data_dir", "path", "text", entry.run.places.written)
    entry.source.mapped("type", f"{entry.path}.path")


def _bucket(entry: Entry) -> None:
    entry.put("type", "source.kind", "s3")
    entry.carry("aws_bucket_name", "source.bucket", "text")
    if entry.carry("aws_endpoint_url", "source.endpoint", "text"):
        entry.ignore(("aws_region_name",), "with an endpoint the region is not used")
    else:
        entry.carry("aws_region_name", "source.region", "text")
    if entry.carry("instance_data_dir", "source.prefix", "text"):
        entry.ignore(("aws_data_prefix",), "instance_data_dir counts")
    else:
        entry.carry("aws_data_prefix", "source.prefix", "text")


def _csv(entry: Entry) -> None:
    entry.put("type", "source.kind", "table")
    entry.carry("csv_file", "source.path", "text", entry.run.places.written)
    column = entry.read("csv_url_column", "text")
    if column is not None:
        note = "a column of paths; fetch what it names by address first"
        entry.put("csv_url_column", "source.media_column", column, note=note, approx=True)


def _parquet(entry: Entry) -> None:
    """A table beside a folder: its paths, put together with what the entry says of them."""
    if entry.type != "local":
        entry.source.unsupported("type", "the files of a table must lie in a folder here")
        entry.tell(
            "IMP007",
            f"dataset {entry.id}: a table of files in {entry.type!r} is not read",
            "type",
            fix="copy the files, or use captions beside them",
        )
    entry.set("source.kind", "table")
    entry.source.mapped("metadata_backend", f"{entry.path}.source.kind")
    entry.source.mapped("type", f"{entry.path}.source.kind")
    entry.carry("parquet.path", "source.path", "text", entry.run.places.written)
    _names_of_files(entry)
    folder = entry.read("instance_data_dir", "text", "")
    before = entry.read("parquet.identifier_prefix", "text", "")
    if folder or before:
        found = str(entry.run.places.found(folder).absolute()) if folder else ""
        prefix = f"{found.rstrip('/')}/{before}" if found else before
        entry.put("instance_data_dir", "source.prefix", prefix)
        entry.source.mapped("parquet.identifier_prefix", f"{entry.path}.source.prefix")


def _names_of_files(entry: Entry) -> None:
    """The column with the paths, and the ending that they lack."""
    run = entry.run
    column = entry.read("parquet.filename_column", "text")
    shared = run.read("parquet_filename_column", "text")
    if column is not None:
        entry.put("parquet.filename_column", "source.media_column", column)
    else:
        entry.set("source.media_column", shared or "id")
        run.source.mapped("parquet_filename_column", "data.datasets[].source.media_column")
    whole = entry.read("parquet.identifier_includes_extension", "bool", False)
    if not whole:
        ending = entry.read("parquet.default_extension", "text", "png")
        ending = ending if ending.startswith(".") else f".{ending}"
        entry.put("parquet.default_extension", "source.extension", ending)
    entry.ignore(("parquet.default_extension",), "the names have their endings")
    path = f"{entry.path}.source.extension"
    entry.source.mapped("parquet.identifier_includes_extension", path)


def _hub(entry: Entry) -> None:
    entry.put("type", "source.kind", "hf")
    entry.carry("dataset_name", "source.path", "text", entry.run.places.model)
    for name in ("split", "revision"):
        entry.carry(name, f"source.{name}", "text")
    wanted = _COLUMNS.get(entry.kind, "image_column")
    for column in _COLUMNS.values():
        if column == wanted:
            entry.carry(column, "source.media_column", "text")
        entry.ignore((column,), f"the samples are {entry.kind}s")


def _shards(entry: Entry) -> None:
    entry.put("type", "source.kind", "tar")
    name = "webshart.source" if entry.given("webshart.source") else "source"
    place = entry.read(name, "text")
    if place is None:
        return
    there = "://" in place or entry.run.places.found(place).exists()
    note = "" if there else "a folder of shards, or s3://; those of the hub are downloaded first"
    entry.put(name, "source.path", entry.run.places.written(place), note=note, approx=not there)

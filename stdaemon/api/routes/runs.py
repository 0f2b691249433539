"""What a job's run has written: logs, events, metrics, pictures, checkpoints, files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse, StreamingResponse

from stdaemon.api.context import Ctx, FoundJob, run_of
from stdaemon.api.stream import LastEventId, frame, start_after, stream
from stdaemon.jobs.errors import Refusal
from stdaemon.store import jobs as store
from stdaemon.store.jobs import JobRow
from stdaemon.watch import outputs
from stdaemon.watch.logs import MAX_CHUNK, read_log, tail_offset
from stdaemon.watch.metrics import NAMES, series
from stdaemon.wire.checkpoints import Checkpoint
from stdaemon.wire.errors import Problem
from stdaemon.wire.events import EventPage
from stdaemon.wire.jobs import TERMINAL
from stdaemon.wire.logs import LogChunk
from stdaemon.wire.metrics import MetricSeries
from stdaemon.wire.samples import Sample
from trainer.findings import finding
from trainer.runs.events import EventTail, read_events
from trainer.runs.files import last_line

router = APIRouter(
    prefix="/v1/jobs/{ref}",
    tags=["runs"],
    responses={code: {"model": Problem} for code in (404, 409, 422)},
)

Position = Annotated[int, Query(ge=0, le=2**62)]


@router.get("/logs")
def logs(
    row: FoundJob,
    offset: Position = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_CHUNK)] = MAX_CHUNK,
    tail: Annotated[int | None, Query(ge=0, le=1_000_000)] = None,
) -> LogChunk:
    """Log text from a byte offset, or its last lines."""
    path = run_of(row).log
    if tail is not None:
        offset = tail_offset(path, tail)
    return read_log(path, offset=offset, limit=limit, ended=row.state in TERMINAL)


@router.get("/logs/stream", response_class=StreamingResponse)
def log_stream(ctx: Ctx, row: FoundJob, offset: Position = 0) -> StreamingResponse:
    """Log chunks as they grow, until the job has ended."""
    path, position = run_of(row).log, offset

    def poll() -> tuple[Iterable[str], bool]:
        nonlocal position
        ended = _ended(ctx, row)
        frames: list[str] = []
        while True:
            chunk = read_log(path, offset=position, limit=MAX_CHUNK, ended=ended)
            if chunk.text or chunk.done:
                frames.append(frame(chunk.model_dump_json(), id=chunk.next_offset))
            if chunk.next_offset == position or chunk.done:
                return frames, chunk.done
            position = chunk.next_offset

    return stream(poll)


def _ended(ctx: Ctx, row: JobRow) -> bool:
    with ctx.db.read() as reader:
        return store.by_id(reader, row.id).state in TERMINAL


@router.get("/events")
def events(
    row: FoundJob, after: Position = 0, limit: Annotated[int, Query(ge=1, le=10_000)] = 1000
) -> EventPage:
    """Run events after a sequence number."""
    path = run_of(row).events
    page = []
    for event in read_events(path, after):
        page.append(event)
        if len(page) == limit:
            break
    return EventPage(events=page, last=int((last_line(path) or {"seq": 0})["seq"]))


@router.get("/events/stream", response_class=StreamingResponse)
def event_stream(
    ctx: Ctx, row: FoundJob, after: Position = 0, last_event_id: LastEventId = None
) -> StreamingResponse:
    """Run events as they happen; `id` is their sequence number."""
    seen = start_after(after, last_event_id)
    tail = EventTail(run_of(row).events)

    def poll() -> tuple[Iterable[str], bool]:
        ended = _ended(ctx, row)
        records = tail.poll()
        fresh = [r for r in records if r["seq"] > seen]
        return [frame(json.dumps(r), id=r["seq"]) for r in fresh], ended and not records

    return stream(poll)


@router.get("/metrics")
def metrics(
    ctx: Ctx,
    row: FoundJob,
    series_names: Annotated[str, Query(alias="series")] = "loss",
    points: Annotated[int, Query(ge=2, le=100_000)] = 400,
) -> MetricSeries:
    """Scalars over steps; loss, prior_loss, lr, grad_norm, eval_loss, style_distance."""
    names = [n for n in series_names.split(",") if n]
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise Refusal(422, f"no such series: {', '.join(unknown)}; known: {', '.join(NAMES)}")
    return series(ctx.columns, run_of(row), names, points)


@router.get("/samples")
def samples(row: FoundJob) -> list[Sample]:
    """Validation pictures, oldest first."""
    return outputs.samples(run_of(row))


@router.get("/checkpoints")
def checkpoints(row: FoundJob) -> list[Checkpoint]:
    """Checkpoints, newest first."""
    return outputs.checkpoints(run_of(row))


@router.get("/files/{path:path}", response_class=FileResponse)
def file(row: FoundJob, path: str) -> FileResponse:
    """A file of the run directory."""
    return FileResponse(_inside(row, path))


@router.get("/pixels/{path:path}", response_class=Response)
def pixels(
    row: FoundJob,
    path: str,
    width: Annotated[int, Query(ge=1, le=4096)],
    height: Annotated[int, Query(ge=1, le=4096)],
) -> Response:
    """A picture scaled to fit, as RGB bytes: the client needs no image library."""
    from PIL import Image

    try:
        with Image.open(_inside(row, path)) as image:
            rgb = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Refusal(422, f"{path} is not a picture: {error}") from error
    factor = min(width / rgb.width, height / rgb.height)
    size = (max(1, round(rgb.width * factor)), max(1, round(rgb.height * factor)))
    scaled = rgb.resize(size, Image.Resampling.LANCZOS)
    headers = {"X-Width": str(size[0]), "X-Height": str(size[1])}
    return Response(scaled.tobytes(), media_type="application/octet-stream", headers=headers)


def _inside(row: JobRow, path: str) -> Path:
    """The path below the run directory; anything that leads out of it is refused."""
    root = run_of(row).path.resolve()
    try:
        target = (root / path).resolve()
        usable = target.is_relative_to(root) and target.is_file()
    except (OSError, ValueError):  # a name too long, a zero byte
        target, usable = root, False
    if not usable:
        problem = finding("RUN106", f"{path!r} is not a file of this run", where=row.id)
        raise Refusal(404, problem.message, problem)
    return target

"""Jobs: list, submit, show, act."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from stdaemon.api.context import Ctx, FoundJob, run_of, to_job
from stdaemon.jobs.actions import perform
from stdaemon.jobs.errors import Refusal
from stdaemon.jobs.submit import submit
from stdaemon.store import jobs as store
from stdaemon.store.attempts import attempts as attempts_of
from stdaemon.store.events import events_after
from stdaemon.wire.errors import Problem
from stdaemon.wire.jobs import (
    Action,
    ActionRequest,
    Attempt,
    Job,
    JobConfigView,
    JobDetail,
    JobPage,
    JobSubmit,
    State,
    Transition,
)
from trainer.runs.files import read_json

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
IdempotencyKey = Annotated[str | None, Header(max_length=200)]
PROBLEMS = {code: {"model": Problem} for code in (404, 409, 422, 503)}


@router.get("", responses={422: {"model": Problem}})
def list_jobs(
    ctx: Ctx,
    state: Annotated[str | None, Query(description="states, separated by commas")] = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    cursor: Annotated[int | None, Query(ge=0, le=2**31)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> JobPage:
    """Jobs, newest first, by page."""
    states = [s for s in (state or "").split(",") if s]
    unknown = sorted(set(states) - set(State))
    if unknown:
        raise Refusal(422, f"no such state: {', '.join(unknown)}")
    with ctx.db.read() as reader:
        rows = store.page(reader, states=states, q=q, before=cursor, limit=limit + 1)
        counts = store.counts(reader)
    more = len(rows) > limit
    jobs = [to_job(row) for row in rows[:limit]]
    following = str(jobs[-1].number) if more else None
    return JobPage(jobs=jobs, next_cursor=following, counts=counts)


@router.post("", status_code=201, responses=PROBLEMS)  # type: ignore[arg-type]
def submit_job(
    ctx: Ctx,
    body: JobSubmit,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Queue a job; 200 instead of 201 when this request id was seen before."""
    if idempotency_key and not body.request_id:
        body = body.model_copy(update={"request_id": idempotency_key})
    row, new = submit(ctx.db, ctx.settings, body, user=ctx.user)
    response.status_code = 201 if new else 200
    ctx.engine.wake()
    return to_job(row)


@router.get("/{ref}", responses=PROBLEMS)  # type: ignore[arg-type]
def show_job(ctx: Ctx, row: FoundJob) -> JobDetail:
    """One job with attempts, transitions and findings."""
    with ctx.db.read() as reader:
        attempts = attempts_of(reader, row.id)
        events = events_after(reader, 0, job=row.id)
    return JobDetail(
        **dict(to_job(row)),
        attempts=[Attempt.model_validate(dict(a._mapping)) for a in attempts],
        transitions=[
            Transition(seq=e.seq, ts=e.ts, **_plain(e.data))
            for e in events
            if e.kind == "job.state"
        ],
        findings=row.findings,
    )


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    return {key: data.get(key) for key in ("old", "new", "cause", "actor", "note")}


@router.post("/{ref}/{action}", responses=PROBLEMS)  # type: ignore[arg-type]
def act(
    ctx: Ctx,
    row: FoundJob,
    action: Action,
    body: ActionRequest | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Carry out an action; `rerun` answers the new job, all others this one."""
    request = body or ActionRequest()
    if idempotency_key and not request.request_id:
        request = request.model_copy(update={"request_id": idempotency_key})
    after = perform(ctx.db, ctx.settings, row.id, action, request, user=ctx.user)
    ctx.engine.wake()
    return to_job(after)


@router.get("/{ref}/config", responses=PROBLEMS)  # type: ignore[arg-type]
def job_config(ctx: Ctx, row: FoundJob) -> JobConfigView:
    """The job file as submitted, and its effective form with origins."""
    effective = read_json(run_of(row).effective) or {}
    return JobConfigView(text=row.text, effective=effective, origins=row.origins)

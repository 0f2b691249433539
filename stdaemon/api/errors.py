"""Refusals and bad requests as problems with findings; nobody ever gets a traceback."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from stdaemon.jobs.errors import Refusal
from stdaemon.store.db import ReadOnly
from stdaemon.store.jobs import Conflict
from stdaemon.wire.errors import Problem
from trainer.errors import TrainerError
from trainer.findings import finding


def answer(problem: Problem) -> JSONResponse:
    return JSONResponse(
        problem.model_dump(mode="json"),
        status_code=problem.status,
        media_type="application/problem+json",
    )


def install(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    def refused(request: Request, error: Refusal) -> JSONResponse:
        detail = "; ".join(str(f) for f in error.findings)
        return answer(
            Problem(title=error.title, status=error.status, detail=detail, findings=error.findings)
        )

    @app.exception_handler(TrainerError)
    def trainer_error(request: Request, error: TrainerError) -> JSONResponse:
        return answer(Problem(title=str(error), status=404, findings=list(error.findings)))

    @app.exception_handler(Conflict)
    def conflict(request: Request, error: Conflict) -> JSONResponse:
        return answer(Problem(title=str(error), status=409))

    @app.exception_handler(ReadOnly)
    def read_only(request: Request, error: ReadOnly) -> JSONResponse:
        problem = finding(
            "RUN104",
            f"the daemon's store cannot be written: {error}",
            why="running jobs go on; changes cannot be recorded",
            fix="free space on the disk of the data home",
        )
        return answer(Problem(title=problem.message, status=503, findings=[problem]))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        detail = "; ".join(
            f"{'.'.join(str(p) for p in item['loc'])}: {item['msg']}" for item in error.errors()
        )
        return answer(Problem(title="the request is not valid", status=422, detail=detail))

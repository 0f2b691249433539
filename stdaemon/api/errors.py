"""Refusals and bad requests as problems with findings; nobody ever gets a traceback."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from stdaemon.jobs.errors import Refusal
from stdaemon.store.db import ReadOnly
from stdaemon.store.jobs import Conflict
from stdaemon.store.requests import Reused
from stdaemon.wire.errors import Problem
from trainer.errors import TrainerError
from trainer.findings import Finding, finding


def answer(status: int, title: str, *findings: Finding, detail: str = "") -> JSONResponse:
    detail = detail or "; ".join(str(found) for found in findings)
    problem = Problem(title=title, status=status, detail=detail, findings=list(findings))
    return JSONResponse(
        problem.model_dump(mode="json"),
        status_code=status,
        media_type="application/problem+json",
    )


def install(app: FastAPI) -> None:
    _install_refusals(app)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        said = "; ".join(
            f"{'.'.join(str(p) for p in item['loc'])}: {item['msg']}" for item in error.errors()
        )
        return answer(422, "the request is not valid", detail=said)

    @app.exception_handler(HTTPException)
    def no_route(request: Request, error: HTTPException) -> JSONResponse:
        return answer(error.status_code, str(error.detail), detail=_what(request))

    @app.exception_handler(Exception)
    def defect(request: Request, error: Exception) -> JSONResponse:
        """The server also logs the traceback."""
        message = f"the daemon failed inside: {type(error).__name__}"
        problem = finding("RUN111", message, where=_what(request), fix="see stune daemon logs")
        return answer(500, problem.message, problem)


def _install_refusals(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    def refused(request: Request, error: Refusal) -> JSONResponse:
        return answer(error.status, error.title, *error.findings)

    @app.exception_handler(TrainerError)
    def trainer_error(request: Request, error: TrainerError) -> JSONResponse:
        return answer(422, error.finding.message, *error.findings)

    @app.exception_handler(Conflict)
    def conflict(request: Request, error: Conflict) -> JSONResponse:
        message = f"the job changed meanwhile: {error}"
        problem = finding("RUN103", message, fix="look at it and ask again")
        return answer(409, problem.message, problem)

    @app.exception_handler(Reused)
    def reused(request: Request, error: Reused) -> JSONResponse:
        problem = finding(
            "RUN110",
            f"the request id {str(error)!r} was used for another request",
            why="an id makes a repeated request harmless, so it stands for one content",
            fix="choose another id",
        )
        return answer(422, problem.message, problem)

    @app.exception_handler(ReadOnly)
    def read_only(request: Request, error: ReadOnly) -> JSONResponse:
        problem = finding(
            "RUN104",
            f"the daemon's store cannot be written: {error}",
            why="running jobs go on; changes cannot be recorded",
            fix="free space on the disk of the data home",
        )
        return answer(503, problem.message, problem)


def _what(request: Request) -> str:
    return f"{request.method} {request.url.path}"

"""The addresses: a page with its two files, what the model is, and answers."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Collection
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from c2f_data.artefacts import to_plain
from c2f_train.predict import DEFAULT_TOP, Predictor
from c2f_train.serve.desk import NAME, Desk
from c2f_train.serve.guard import LOOPBACK, Guard, RefusedError
from c2f_train.serve.limits import FORMATS, Limits

# What is sent: names in this package, never names from a request.
FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
MOST_TOP = 100
MOST_SIDE = 100_000


def make_app(
    predictor: Predictor,
    *,
    name: str = "",
    limits: Limits | None = None,
    hosts: Collection[str] = LOOPBACK,
) -> ASGIApp:
    """The server, as an ASGI application.

    Args:
        name: of the model, for the page's head.
        hosts: names that it goes by in a Host header, without a port.
    """
    limits = limits or Limits()
    desk = Desk(predictor, limits)
    about = JSONResponse(about_model(predictor, name, limits))

    async def model(_: Request) -> Response:
        return about

    async def predict(request: Request) -> Response:
        resolution = _whole(request, "resolution", MOST_SIDE)
        top_k = _whole(request, "top_k", MOST_TOP) or DEFAULT_TOP
        found = await desk.answer(request, resolution, top_k)
        answer = to_plain(found.answer)
        return JSONResponse({**to_plain(found), "image": NAME, "answer": answer})

    routes = [Route(path, _file(*file)) for path, file in FILES.items()]
    routes += [
        Route("/api/model", model),
        Route("/api/predict", predict, methods=["POST"]),
    ]
    handlers = {RefusedError: _refused, HTTPException: _not_here, Exception: _broken}
    app = Starlette(routes=routes, exception_handlers=handlers)
    return Guard(app, hosts)


def about_model(predictor: Predictor, name: str, limits: Limits) -> dict[str, object]:
    """What ``/api/model`` answers; without a path of this machine."""
    facts = {
        "name": name,
        "levels": predictor.network.levels,
        "confidence": predictor.confidence,
        "guarantees": predictor.guarantees,
        "crop": predictor.network.meta.crop,
        "warnings": predictor.warnings,
        "limits": {
            "bytes": limits.bytes,
            "pixels": limits.pixels,
            "types": sorted(set(FORMATS.values())),
        },
    }
    plain: dict[str, object] = to_plain(facts)
    return plain


def _file(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    content = (files(__package__) / name).read_bytes()

    async def send(_: Request) -> Response:
        return Response(content, media_type=f"{kind}; charset=utf-8")

    return send


def _whole(request: Request, name: str, most: int) -> int | None:
    """A whole number of the query from 1 to ``most``; None where it is not given."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise RefusedError(400, f"{name} is no whole number from 1 to {most}", "Leave it out.")
    return int(text)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return error.response()


async def _not_here(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    hint = "Addresses: /, /api/model (GET), /api/predict (POST)."
    headers = dict(error.headers or {})
    return JSONResponse({"error": error.detail, "hint": hint}, error.status_code, headers)


async def _broken(_: Request, error: Exception) -> Response:
    traceback.print_exception(error)
    hint = "This is a fault of c2f: its terminal shows more."
    return JSONResponse({"error": "an unforeseen failure", "hint": hint}, 500)

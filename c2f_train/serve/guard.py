"""What stands before every address: whose requests are taken, and how much of them is read.

A server on 127.0.0.1 can be reached by every page that its user's browser shows. So the name in
the Host header must be one of the server's (against DNS rebinding, where a foreign name is made to
lead here), and a request that another page sends is refused by its Origin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from c2f_train.serve.limits import Limits

LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Of what is not wanted, read so that the other side can read the answer.
DRAIN_SECONDS = 5.0
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class RefusedError(Exception):
    """A request that is not answered: status, what is wrong, what to do."""

    def __init__(self, status: int, error: str, hint: str) -> None:
        super().__init__(error)
        self.status, self.error, self.hint = status, error, hint

    def response(self) -> JSONResponse:
        """The same as JSON."""
        headers = {"Retry-After": "1"} if self.status == 503 else None
        return JSONResponse({"error": self.error, "hint": self.hint}, self.status, headers)


@dataclass(frozen=True, slots=True)
class Guard:
    """Passes on requests that name this server and come from its own page or from no page.

    Attributes:
        hosts: names that the server goes by, without a port.
    """

    app: ASGIApp
    hosts: Collection[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, in ASGI's form."""
        if scope["type"] != "http":
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.lower().encode(), text.encode()) for name, text in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        try:
            self._check(Request(scope))
        except RefusedError as refused:
            await refused.response()(scope, receive, marked)
            return
        await self.app(scope, receive, marked)

    def _check(self, request: Request) -> None:
        host = request.headers.get("host", "")
        if host_name(host) not in self.hosts:
            raise RefusedError(
                403,
                "this server goes by another name",
                f"Names: {', '.join(self.hosts)}; c2f serve --allow-host NAME adds one.",
            )
        origin = request.headers.get("origin")
        foreign = request.headers.get("sec-fetch-site") == "cross-site"
        if foreign or (origin is not None and origin != f"{request.url.scheme}://{host}"):
            raise RefusedError(
                403, "a request from another page", "Open this server's own page instead."
            )


def host_name(host: str) -> str:
    """The name in a Host header: without its port, lower case; ``::1`` without brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


async def read_upload(request: Request, limits: Limits) -> bytes:
    """The body of a request. Raises RefusedError: too large, too slow, broken off, or empty."""
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > limits.bytes:
        await drain(request)
        raise _too_large(limits)
    data = bytearray()
    try:
        async with asyncio.timeout(limits.upload_seconds):
            async for part in request.stream():
                data += part
                if len(data) > limits.bytes:
                    raise _too_large(limits)
    except TimeoutError as error:
        seconds = f"{limits.upload_seconds:g} s"
        raise RefusedError(408, f"the upload took over {seconds}", "Send it again.") from error
    except ClientDisconnect as error:
        raise RefusedError(400, "the upload broke off", "Send it again.") from error
    if not data:
        raise RefusedError(400, "no image", "Send a file's bytes as the body of the request.")
    return bytes(data)


async def drain(request: Request) -> None:
    """Read and forget what is still to come, for a while."""
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in request.stream():
                pass
    except (TimeoutError, ClientDisconnect):
        return


def _too_large(limits: Limits) -> RefusedError:
    most = f"{limits.bytes / 1e6:g} MB"
    return RefusedError(413, f"more than {most}", f"Send an image of at most {most}.")

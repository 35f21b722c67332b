"""``c2f serve``."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import click

from c2f_data.errors import ConfigError, install_hint

from .console import Console, print_json
from .options import common_options, network_options, option, predictor_options
from .predict import model_of

if TYPE_CHECKING:
    import uvicorn

    from c2f_train.predict import Predictor

LOCAL = "127.0.0.1"
MB = 1_000_000
# Connections at a time, those that wait for their turn included; more are turned away unread.
MOST_CONNECTIONS = 512


@click.command("serve")
@predictor_options
@option("--host", default=LOCAL, show_default=True, help="Address to listen on: this machine's.")
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="0: any free one.",
)
@option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="A name that browsers reach this server by, besides localhost; may be repeated.",
)
@option(
    "--max-mb",
    type=click.FloatRange(0, 512, min_open=True),
    default=20.0,
    show_default=True,
    help="Largest upload.",
)
@option(
    "--waiting",
    type=click.IntRange(1, 1024),
    default=16,
    show_default=True,
    help="Uploads that may wait for their turn; more are told to come back.",
)
@network_options
@common_options
def serve(**o: Any) -> int:
    """Show a page on this machine: upload an image, slide its resolution, see the answer change.

    It is reached from this machine alone and stops with Ctrl-C. The page and its HTTP API are
    described in docs/serve.md.

    \b
    Example:
      c2f serve
      c2f serve --model mlph --port 8080
    """
    try:
        import uvicorn

        from c2f_train.serve.app import make_app
    except ImportError as error:
        raise ConfigError(
            f"c2f serve needs {error.name}, which is not installed", install_hint("serve")
        ) from error
    from c2f_train.predict import Predictor
    from c2f_train.serve.guard import LOOPBACK
    from c2f_train.serve.limits import Limits

    console = Console(quiet=o["quiet"])
    folder = model_of(o, console)
    limits = Limits(bytes=round(o["max_mb"] * MB), waiting=o["waiting"])
    predictor = Predictor.load(
        folder, device=o["device"], precision=o["precision"], confidence=o["confidence"]
    )
    for warning in predictor.warnings:
        console.warn(warning)
    hosts = tuple(dict.fromkeys([*LOOPBACK, o["host"], *o["allow_host"]]))
    _warm_up(predictor)
    app = make_app(predictor, name=folder.name, limits=limits, hosts=hosts)
    listening = _listen(o["host"], o["port"])
    url = _url(listening)
    if o["as_json"]:
        print_json({"url": url, "model": str(predictor.folder)})
    else:
        click.echo(url)
    if o["host"] not in LOOPBACK:
        console.warn(f"{o['host']} can be reached from other machines, and there is no password")
    console.note(f"Next: open {url} in a browser. Ctrl-C stops.")
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
    )
    _run(uvicorn.Server(config), listening)
    console.note("Stopped.")
    return 0


def _warm_up(predictor: Predictor) -> None:
    """A first answer takes longer than others, so it is not left to the first user."""
    import numpy as np

    predictor.predict(np.zeros((64, 64, 3), np.uint8))


def _run(server: uvicorn.Server, listening: socket.socket) -> None:
    """Serve until a signal; uvicorn raises it again when everything is closed."""
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens before anything is printed. Raises ConfigError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(MOST_CONNECTIONS)  # from here on a client waits instead of being refused
    except OSError as error:
        raise ConfigError(
            f"can't listen on {host}, port {port}: {error.strerror}",
            "Choose another --port (0: any free one), or another --host.",
        ) from error
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

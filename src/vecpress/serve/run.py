"""From a service to a process that listens, and ends in order when it is told to."""

import signal
import socket
import threading
from contextlib import suppress

import uvicorn

from vecpress.errors import ConfigError
from vecpress.serve.answers import Answers
from vecpress.serve.app import create_app
from vecpress.serve.service import LOG, Service

_BACKLOG = 2048


def run(answers: Answers, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is running, as long as `grace` allows.

    Raises:
        ConfigError: nothing can listen at this host and port.
        VecpressError: the models cannot be loaded.
    """
    with _listen(host, port) as listener:
        service = Service(answers, on_failure=lambda: _stop(server))
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(service),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="on",
                timeout_graceful_shutdown=max(1, round(answers.settings.grace)),
                backlog=_BACKLOG,
            )
        )
        url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        LOG.info("listening on %s", url, extra={"told": {"event": "listening", "url": url}})
        if threading.current_thread() is threading.main_thread():
            # uvicorn raises the signal again when it is done: the process has done as it was told
            signal.signal(signal.SIGTERM, lambda *_: None)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    LOG.info("stopped", extra={"told": {"event": "stopped"}})
    if service.failure is not None:
        raise service.failure


def _stop(server: uvicorn.Server) -> None:
    server.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise ConfigError(f"a port is a whole number from 0 to {2**16 - 1}, got {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error}; choose another --host or --port, or 0 "
            "for any port that is free"
        ) from error
    # asyncio sends small packets at once only where it is told that they are TCP's: else a client
    # waits 40 ms for the second half of an answer
    return socket.socket(family, made.type, socket.IPPROTO_TCP, fileno=made.detach())

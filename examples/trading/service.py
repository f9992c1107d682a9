"""What every service has in common: an HTTP server, tasks, a health page and an orderly end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from trading.logs import Log
from trading.settings import Settings

OK = "ok"
GRACE_S = 3.0
CANCEL_S = 0.05

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a service serves and does."""

    settings: Settings
    log: Log
    routes: Sequence[web.RouteDef]
    tasks: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    # What the service needs to serve, each `OK` or what is wrong with it.
    needs: Callable[[], Awaitable[Mapping[str, str]]]
    on_stop: Sequence[Callable[[], Awaitable[None]]] = field(default=())


def run(service: Service) -> None:
    """Serve until SIGTERM or SIGINT."""
    asyncio.run(_serve(service))


async def _serve(service: Service) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app = web.Application()
    app.add_routes([*service.routes, web.get("/health", _health_page(service))])
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=GRACE_S)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", service.settings.port).start()
    service.log.say(
        "started",
        build=service.settings.build.name,
        port=service.settings.port,
        pid=os.getpid(),
    )
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(task()) for task in service.tasks]
        await stop.wait()
        service.log.say("stopping", drains=service.settings.build.drains_on_stop)
        if not service.settings.build.drains_on_stop:
            os._exit(0)  # what was answered but not yet written dies here
        await _within_grace(runner.cleanup(), service.log)
        # The drivers may swallow a cancellation that comes at the wrong moment: ask until it is
        # heard.
        while not all(task.done() for task in tasks):
            for task in tasks:
                task.cancel()
            await asyncio.sleep(CANCEL_S)
        for action in service.on_stop:
            await _within_grace(action(), service.log)
    service.log.say("stopped")


async def _within_grace(work: Awaitable[None], log: Log) -> None:
    try:
        async with asyncio.timeout(GRACE_S):
            await work
    except TimeoutError as error:
        log.trouble("stopping", error)


def _health_page(service: Service) -> Handler:
    async def health(_: web.Request) -> web.Response:
        needs = await service.needs()
        healthy = all(state == OK for state in needs.values())
        body = {
            "service": service.log.service,
            "build": service.settings.build.name,
            "healthy": healthy,
            "needs": dict(needs),
        }
        return web.json_response(body, status=200 if healthy else 503)

    return health


async def body_of(request: web.Request) -> dict[str, Any]:
    """Return the JSON object that a request carries; an empty body is an empty object."""
    text = await request.text()
    try:
        body = await request.json() if text else {}
    except ValueError as error:
        raise refusal("the body is not JSON") from error
    if not isinstance(body, dict):
        raise refusal("the body is not a JSON object")
    return body


def refusal(reason: str) -> web.HTTPBadRequest:
    """Return the answer 400 with its ``reason`` as JSON."""
    text = json.dumps({"error": reason})
    return web.HTTPBadRequest(text=text, content_type="application/json")


def missing(what: str) -> web.HTTPNotFound:
    """Return the answer 404 with its reason as JSON."""
    text = json.dumps({"error": f"no such {what}"})
    return web.HTTPNotFound(text=text, content_type="application/json")


def unavailable(error: Exception) -> web.HTTPServiceUnavailable:
    """Return the answer 503 with its reason as JSON: try again later."""
    text = json.dumps({"error": str(error) or type(error).__name__})
    return web.HTTPServiceUnavailable(text=text, content_type="application/json")


def number_in(body: Mapping[str, Any], name: str, default: float | None = None) -> float:
    """Return the number under ``name``; 400 if it is missing or no number."""
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refusal(f"{name} is not a number")
    return value

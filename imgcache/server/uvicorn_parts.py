"""What `imgcache.server.protocol` uses of uvicorn, looked for at the start.

uvicorn promises nothing about the classes of its protocols, so a newer version may lack what is used here. Then its own
protocol serves: the same answers, in about three times the time for small files, and without the limits on one client.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import uvicorn

_OWN = "auto"  # uvicorn's name for the best of its own protocols
_METHODS: Mapping[str, tuple[str, ...]] = {
    "connection_made": ("transport",),
    "connection_lost": ("exc",),
    "data_received": ("data",),
    "on_message_begin": (),
    "on_header": ("name", "value"),
    "on_headers_complete": (),
    "on_body": ("body",),
    "on_message_complete": (),
    "on_response_complete": (),
    "send_400_response": ("msg",),
    "timeout_keep_alive_handler": (),
    "_unset_keepalive_if_required": (),
}
_ATTRIBUTES = (
    *("app", "loop", "parser", "server_state"),
    *("transport", "flow", "pipeline", "cycle", "scope", "headers", "expect_100_continue"),
    *("timeout_keep_alive", "timeout_keep_alive_task"),
)
_STATE = ("default_headers", "total_requests")
_CYCLE = ("disconnected", "message_event", "response_complete", "response_started")
_FLOW = ("pause_reading", "resume_reading", "write_paused")
_logger = logging.getLogger("imgcache.server")


def choose_protocol() -> type[asyncio.Protocol] | str:
    """The protocol for uvicorn's `http` setting: ours, or uvicorn's own where something is missing, which is logged."""
    missing = tuple(_missing())
    if not missing:
        from imgcache.server.protocol import BoundedProtocol

        return BoundedProtocol
    _logger.warning(
        "uvicorn %s has no %s as 0.54 has it: it serves by its own protocol, which answers more slowly and limits"
        " neither how long a client may take for a request nor how many it sends ahead; put a proxy in front, or"
        " install uvicorn 0.54",
        uvicorn.__version__,
        ", ".join(missing),
    )
    return _OWN


def _missing() -> Iterator[str]:
    """The names that are not there, or differ in their parameters."""
    try:
        from uvicorn.protocols.http import flow_control, httptools_impl
    except ImportError as error:
        yield str(error.name)
        return
    for module, name in (
        (httptools_impl, "HttpToolsProtocol"),
        (httptools_impl, "RequestResponseCycle"),
        (flow_control, "FlowControl"),
    ):
        if not inspect.isclass(getattr(module, name, None)):
            yield name
            return
    yield from _missing_methods(httptools_impl)
    yield from _missing_attributes(httptools_impl, flow_control)


def _missing_methods(module: ModuleType) -> Iterator[str]:
    for name, expected in _METHODS.items():
        found = getattr(module.HttpToolsProtocol, name, None)
        if not callable(found) or tuple(inspect.signature(found).parameters)[1:] != expected:
            yield f"HttpToolsProtocol.{name}({', '.join(expected)})"


def _missing_attributes(module: ModuleType, flow_control: ModuleType) -> Iterator[str]:
    """Those that an object has only once it is made."""
    made: dict[str, tuple[Any, tuple[str, ...]]] = {}
    loop = asyncio.new_event_loop()
    try:
        config = uvicorn.Config(_nothing, http=module.HttpToolsProtocol, ws="none", lifespan="off", log_config=None)
        one = module.HttpToolsProtocol(config, uvicorn.server.ServerState(), {}, _loop=loop)
        made["HttpToolsProtocol"] = one, _ATTRIBUTES
        made["ServerState"] = one.server_state, _STATE
        made["FlowControl"] = flow_control.FlowControl(asyncio.Transport()), _FLOW
        cycle = dict.fromkeys(tuple(inspect.signature(module.RequestResponseCycle.__init__).parameters)[1:])
        made["RequestResponseCycle"] = module.RequestResponseCycle(**cycle), _CYCLE
    except (AttributeError, TypeError) as error:
        yield f"constructor ({error})"
    finally:
        loop.close()
    for kind, (value, names) in made.items():
        yield from (f"{kind}.{name}" for name in names if not hasattr(value, name))


async def _nothing(_scope: object, _receive: object, _send: object) -> None:
    """An application that is never called."""

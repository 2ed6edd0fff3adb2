"""Checks at startup that uvicorn has the internal names that `imgcache.server.protocol` uses.

The protocol classes of uvicorn are no stable interface, so a newer version may lack one of these names. Then uvicorn's
own protocol is used: the same responses, about three times slower for small files, without the limits on each client.
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
    """Returns the protocol for uvicorn's `http` setting; uvicorn's own, with a warning, where a name is missing."""
    missing = tuple(_missing())
    if not missing:
        from imgcache.server.protocol import BoundedProtocol

        return BoundedProtocol
    _logger.warning(
        "uvicorn %s lacks %s of uvicorn 0.54, so its own protocol is used: it is slower and does not limit how long"
        " a client takes to send a request nor how many requests it pipelines; put a proxy in front of it, or"
        " install uvicorn 0.54",
        uvicorn.__version__,
        ", ".join(missing),
    )
    return _OWN


def _missing() -> Iterator[str]:
    """Yields the names that are missing or have other parameters."""
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
    """Yields missing attributes of instances."""
    instances: dict[str, tuple[Any, tuple[str, ...]]] = {}
    loop = asyncio.new_event_loop()
    try:
        config = uvicorn.Config(
            _unused_application, http=module.HttpToolsProtocol, ws="none", lifespan="off", log_config=None
        )
        protocol = module.HttpToolsProtocol(config, uvicorn.server.ServerState(), {}, _loop=loop)
        instances["HttpToolsProtocol"] = protocol, _ATTRIBUTES
        instances["ServerState"] = protocol.server_state, _STATE
        instances["FlowControl"] = flow_control.FlowControl(asyncio.Transport()), _FLOW
        cycle = dict.fromkeys(tuple(inspect.signature(module.RequestResponseCycle.__init__).parameters)[1:])
        instances["RequestResponseCycle"] = module.RequestResponseCycle(**cycle), _CYCLE
    except (AttributeError, TypeError) as error:
        yield f"constructor ({error})"
    finally:
        loop.close()
    for kind, (value, names) in instances.items():
        yield from (f"{kind}.{name}" for name in names if not hasattr(value, name))


async def _unused_application(_scope: object, _receive: object, _send: object) -> None:
    """An application that is never called."""

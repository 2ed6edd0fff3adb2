"""A real browser for tests: Debian's Chromium, which finds nothing but this machine, and what it complains of."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Page, Request, expect, sync_playwright

from tests.conftest import system_program

PATIENCE = 20_000  # milliseconds: for machines that are busy with other tests
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
_WATCH = "addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective));"

expect.set_options(timeout=PATIENCE)

Open = Callable[..., Page]

# Pages of the one browser that nobody uses at the moment, by how they were made.
_idle: dict[tuple[object, ...], list[Page]] = {}


@contextmanager
def launched(*flags: str) -> Iterator[Browser]:
    """The browser. Where one of the flags is of the same name as one of _FLAGS, it holds."""
    program = os.environ.get("CHROMIUM") or system_program("chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=[*_FLAGS, *flags])
        yield started
        _idle.clear()
        started.close()


@contextmanager
def folder_served(folder: Path) -> Iterator[str]:
    """The address of a web server for a folder."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
        pass


@contextmanager
def lent(
    browser: Browser,
    script: str = "",
    listeners: Mapping[str, Callable[[Any], None]] | None = None,
    *,
    width: int = 1280,
    height: int = 900,
    **options: Any,
) -> Iterator[Page]:
    """A page where `script` runs before all others: one that was given back, where there is one made alike.

    For a new page Chromium starts two or three processes, which costs more than most tests do with it. One given
    back still has its history and a cache of what it loaded, which no test here looks at.
    """
    scheme = options.pop("color_scheme", "light")
    idle = _idle.setdefault((script, *sorted(options.items())), [])
    if idle:
        page = idle.pop()
        page.set_viewport_size({"width": width, "height": height})
        page.mouse.move(0, 0)
    else:
        page = browser.new_context(viewport={"width": width, "height": height}, **options).new_page()
        page.add_init_script(script)
        page.set_default_timeout(PATIENCE)
    page.emulate_media(color_scheme=scheme)
    heard: list[tuple[Any, Callable[[Any], None]]] = list((listeners or {}).items())
    for event, listener in heard:
        page.on(event, listener)
    yield page
    # Asking the browser also brings all events that are on their way, for the listeners to hear.
    assert not page.context.cookies(), "a page that is lent again would send them"
    for event, listener in heard:
        page.remove_listener(event, listener)
    idle.append(page)


def axe_violations(page: Page, *only: str) -> list[tuple[str, str]]:
    """What axe finds wrong by all its rules, or by some `only`: the rule, and the first element that breaks it."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found = page.evaluate(
        "options => axe.run(options).then(all => all.violations.map(one => [one.id, one.nodes[0].html]))",
        {"resultTypes": ["violations"]} | ({"runOnly": list(only)} if only else {}),
    )
    return [(rule, html) for rule, html in found]


class Watch:
    """Pages under watch: requests that are not expected, dialogs, and what the browser says of errors and policies."""

    def __init__(self, browser: Browser, expected: Callable[[str], bool]) -> None:
        self._browser = browser
        self._expected = expected
        self._stack = ExitStack()
        self.trouble: list[str] = []

    def page(self, *, width: int = 1280, height: int = 900, **options: Any) -> Page:
        """A page of its own."""
        listeners: dict[str, Callable[[Any], None]] = {
            "dialog": self._dismiss,
            "console": self._said,
            "request": self._asked,
            "pageerror": self._threw,
        }
        return self._stack.enter_context(lent(self._browser, _WATCH, listeners, width=width, height=height, **options))

    def close(self) -> None:
        """Give all pages back."""
        self._stack.close()

    def _dismiss(self, dialog: Dialog) -> None:
        self.trouble.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.trouble.append(message.text)

    def _threw(self, error: Error) -> None:
        self.trouble.append(str(error))

    def _asked(self, request: Request) -> None:
        if not self._expected(request.url):
            self.trouble.append(f"asked for {request.url}")


@contextmanager
def watched(browser: Browser, expected: Callable[[str], bool]) -> Iterator[Watch]:
    """Pages while the block lasts; any trouble with one of them fails the test at its end."""
    watch = Watch(browser, expected)
    yield watch
    watch.close()
    assert watch.trouble == []

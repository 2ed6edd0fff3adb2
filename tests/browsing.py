"""A real browser for tests: Debian's Chromium, which finds nothing but this machine, and what it complains of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request, expect, sync_playwright

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


@contextmanager
def launched() -> Iterator[Browser]:
    """The browser."""
    program = os.environ.get("CHROMIUM") or system_program("chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield started
        started.close()


class Watch:
    """Pages under watch: requests that are not expected, dialogs, and what the browser says of errors and policies."""

    def __init__(self, browser: Browser, expected: Callable[[str], bool]) -> None:
        self._browser = browser
        self._expected = expected
        self._contexts: list[BrowserContext] = []
        self.trouble: list[str] = []

    def page(self, *, width: int = 1280, height: int = 900, **options: Any) -> Page:
        """A new page of its own."""
        context = self._browser.new_context(viewport={"width": width, "height": height}, **options)
        self._contexts.append(context)
        page = context.new_page()
        page.on("dialog", self._dismiss)
        page.on("console", self._said)
        page.on("request", self._asked)
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.add_init_script(_WATCH)
        page.set_default_timeout(PATIENCE)
        return page

    def close(self) -> None:
        """All pages."""
        for context in self._contexts:
            context.close()

    def _dismiss(self, dialog: Dialog) -> None:
        self.trouble.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.trouble.append(message.text)

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

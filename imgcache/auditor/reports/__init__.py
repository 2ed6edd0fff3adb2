"""An audit as a report: text for people, JSON for scripts, JUnit, SARIF and annotations for CI, a page to pass on.

Pure, but that the page reads the thumbnails we hold. The same audit gives the same text; nothing tells when it was
made. URLs have lost their credentials before they come here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module

from imgcache.auditor.reports.context import ReportContext
from imgcache.core import AuditReport
from imgcache.core import log_safety as logsafe

# How each form writes what a terminal or a build server would act on: any of them may be printed into a log. The lines
# of `github` are commands themselves, in which no second one is looked for but by other servers.
_WAYS: Mapping[str, Callable[[str], str]] = {
    "text": partial(logsafe.plain, styled=True),
    "json": logsafe.json,
    "junit": logsafe.xml,
    "sarif": logsafe.json,
    "github": logsafe.without_bracketed,
    "html": logsafe.xml,
}
FORMS = tuple(_WAYS)

__all__ = ["FORMS", "ReportContext", "render"]


def render(form: str, audit: AuditReport, context: ReportContext) -> str:
    """The report in one of `FORMS`, ending with a newline; each is imported when it is asked for.

    Raises:
        ValueError: there is no such form.
    """
    if form not in FORMS:
        raise ValueError(f"{form!r} is no form of report: {', '.join(FORMS)} are")
    text: str = import_module(f"imgcache.auditor.reports.{form}").render(audit, context)
    return _WAYS[form](text)

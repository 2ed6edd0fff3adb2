"""Renders an audit as a report in one of six formats, one module each.

Rendering is pure, except that the HTML page reads thumbnails from the cache. The same audit and
context give the same text. Callers must remove credentials from URLs first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module

from imgcache.auditor.reports.context import ReportContext
from imgcache.core import AuditReport
from imgcache.core import log_safety as logsafe

# How each format disarms what a terminal or a build server would execute, because any report may be printed into a log.
# The lines of `github` are commands themselves; GitHub looks for no second command in them, but other servers do.
_DISARM: Mapping[str, Callable[[str], str]] = {
    "text": partial(logsafe.safe_text, styled=True),
    "json": logsafe.safe_json,
    "junit": logsafe.safe_xml,
    "sarif": logsafe.safe_json,
    "github": logsafe.without_bracketed,
    "html": logsafe.safe_xml,
}
FORMATS = tuple(_DISARM)

__all__ = ["FORMATS", "ReportContext", "render"]


def render(report_format: str, audit: AuditReport, context: ReportContext) -> str:
    """Returns the report in one of the formats of `FORMS`, ending with a newline.

    The module of a format is imported when it is first used.

    Raises:
        ValueError: there is no such format.
    """
    if report_format not in FORMATS:
        raise ValueError(f"{report_format!r} is not a report format; use one of {', '.join(FORMATS)}")
    text: str = import_module(f"imgcache.auditor.reports.{report_format}").render(audit, context)
    return _DISARM[report_format](text)

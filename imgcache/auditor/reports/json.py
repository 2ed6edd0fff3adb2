"""Renders an audit as JSON, indented so that two reports can be compared line by line."""

from __future__ import annotations

import msgspec

from imgcache.auditor.reports.context import ReportContext
from imgcache.core import AuditReport


def render(audit: AuditReport, _context: ReportContext) -> str:
    """Returns the object of `AuditReport.to_json`, and a newline."""
    return msgspec.json.format(audit.to_json(), indent=2).decode() + "\n"

"""JSON for scripts: the object that `Audit.to_json` promises, indented so that two reports can be compared by line."""

from __future__ import annotations

import msgspec

from imgcache.auditor.reports.context import ReportContext
from imgcache.core import AuditReport


def render(audit: AuditReport, _context: ReportContext) -> str:
    """One object and a newline."""
    return msgspec.json.format(audit.to_json(), indent=2).decode() + "\n"

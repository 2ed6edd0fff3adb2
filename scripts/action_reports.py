"""Makes of one audit in JSON what action.yml needs: SARIF, annotations, the job's summary, and the verdict.

`python action_reports.py REPORT SITE SINCE FAIL_ON`; the files that GITHUB_OUTPUT and GITHUB_STEP_SUMMARY name are
appended to, as the runner wants it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from imgcache.auditor import git_prefix, reports
from imgcache.auditor.reports import github
from imgcache.core import AuditReport, Severity

FAILING = {
    "error": {Severity.ERROR},
    "warning": {Severity.ERROR, Severity.WARNING},
    "never": set[Severity](),
}


def main(report: Path, site: Path, since: str, fail_on: str) -> None:
    """Write and print it all. The verdict is told, and fails nothing here: the SARIF is still to be uploaded."""
    audit = msgspec.json.decode(report.read_bytes(), type=AuditReport)
    root = site.resolve()
    context = reports.ReportContext(root, root / "cache", prefix=git_prefix(root), is_compared=bool(since))
    sarif = report.with_suffix(".sarif")
    sarif.write_text(reports.render("sarif", audit, context), encoding="utf-8")
    print(reports.render("github", audit, context), end="")
    failing = any(not found.is_old and found.severity in FAILING[fail_on] for found in audit.findings)
    _append("GITHUB_STEP_SUMMARY", github.summary(audit, context))
    _append("GITHUB_OUTPUT", f"verdict={'failed' if failing else 'well'}\njson={report}\nsarif={sarif}\n")


def _append(variable: str, text: str) -> None:
    if path := os.environ.get(variable):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])

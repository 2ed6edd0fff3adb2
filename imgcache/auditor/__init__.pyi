__all__ = [
    "ArticleAudit",
    "ArticleWatcher",
    "AuditHistory",
    "AuditPolicy",
    "Auditor",
    "Baseline",
    "Event",
    "FixResult",
    "ProbeResult",
    "RemoteChecks",
    "WatchFilter",
    "git_prefix",
    "probe_image",
    "remaining_findings",
    "remedy_of",
]

from .baseline import Baseline
from .fixes import FixResult, remaining_findings
from .git import git_prefix
from .history import AuditHistory
from .probing import ProbeResult, probe_image
from .remedies import remedy_of
from .remote_checks import RemoteChecks
from .run import Auditor, AuditPolicy
from .watch import ArticleAudit, ArticleWatcher, Event, WatchFilter

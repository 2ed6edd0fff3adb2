__all__ = [
    "AuditReport",
    "CacheBusy",
    "ConfigError",
    "Error",
    "Manifest",
    "ManifestEntry",
    "NotHeld",
    "ProgressUpdate",
    "SyncReport",
    "audit",
    "sync",
]

from .core import AuditReport, CacheBusy, ConfigError
from .manifest import ManifestEntry
from .syncer import SyncReport
from .wiring.public_manifest import Manifest, NotHeld
from .wiring.python_api import Error, ProgressUpdate, audit, sync

__version__: str

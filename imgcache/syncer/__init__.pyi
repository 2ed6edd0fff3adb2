__all__ = [
    "Damage",
    "DryRun",
    "Maintenance",
    "Pipeline",
    "Recorder",
    "ReferenceScanner",
    "Removal",
    "Removed",
    "SlowHost",
    "Sync",
    "SyncOptions",
    "SyncReport",
    "Unused",
    "tell_foreign",
]

from .maintenance import Damage, Maintenance
from .pipeline import DryRun, Pipeline
from .recorder import Recorder
from .reference_scanner import ReferenceScanner
from .removal import Removal, Removed, Unused, tell_foreign
from .report import SlowHost, SyncReport
from .run import Sync, SyncOptions

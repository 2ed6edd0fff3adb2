__all__ = [
    "Damage",
    "DryRun",
    "Maintenance",
    "Pipeline",
    "Recorder",
    "Removal",
    "Removed",
    "SlowHost",
    "Sync",
    "SyncOptions",
    "SyncReport",
    "Unused",
    "describe_foreign_files",
]

from .maintenance import Damage, Maintenance
from .pipeline import DryRun, Pipeline
from .recorder import Recorder
from .removal import Removal, Removed, Unused, describe_foreign_files
from .report import SlowHost, SyncReport
from .run import Sync, SyncOptions

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
    "describe_foreign_files",
]

from .dry_run import DryRun
from .maintenance import Damage, Maintenance
from .options import SyncOptions
from .pipeline import Pipeline
from .recorder import Recorder
from .reference_scanner import ReferenceScanner
from .removal import Removal, Removed, Unused, describe_foreign_files
from .report import SlowHost, SyncReport
from .run import Sync

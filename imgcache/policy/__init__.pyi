__all__ = ["FlagDecision", "Health", "QuarantineRecord", "SizeMatch", "Step", "SyncPolicy", "format_day"]

from .health import Health, format_day
from .plan import FlagDecision, SizeMatch, Step, SyncPolicy
from .quarantine_rules import QuarantineRecord

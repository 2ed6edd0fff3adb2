__all__ = [
    "NEVER_ENTERED",
    "USUAL",
    "Layout",
    "ReadingRules",
    "ScanReport",
    "ScanResult",
    "Scanner",
    "Site",
    "Sites",
    "UnreadAddress",
    "check_local_images",
    "extract_references",
    "layout_of",
    "path_prefix",
]

from .extract import extract_references
from .generators import NEVER_ENTERED, Layout, layout_of
from .listing import ScanReport, UnreadAddress
from .local_images import check_local_images
from .rules import USUAL, ReadingRules
from .site import Site, Sites, path_prefix
from .walk import Scanner, ScanResult

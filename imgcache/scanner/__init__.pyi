__all__ = [
    "NEVER_ENTERED",
    "Fields",
    "ScanReport",
    "ScanResult",
    "Scanner",
    "Site",
    "Sites",
    "UnreadAddress",
    "check_local_images",
    "extract_references",
    "path_prefix",
    "site_url_of",
]

from .extract import extract_references
from .frontmatter import Fields
from .generators import NEVER_ENTERED
from .listing import ScanReport, UnreadAddress
from .local_images import check_local_images
from .site import Site, Sites, path_prefix, site_url_of
from .walk import Scanner, ScanResult

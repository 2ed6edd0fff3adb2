__all__ = [
    "MANIFEST_NAME",
    "VERSION",
    "FlagWriter",
    "FlagWriters",
    "Manifest",
    "ManifestEntry",
    "ManifestVariant",
    "apply_edits",
    "read_document",
    "read_if_unchanged",
    "read_manifest",
]

from .article_file import apply_edits, read_if_unchanged
from .document import MANIFEST_NAME, VERSION, Manifest, ManifestEntry, ManifestVariant, read_document, read_manifest
from .flags import FlagWriter, FlagWriters

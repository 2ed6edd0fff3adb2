__all__ = [
    "BUILT_FIELD",
    "FILE_NAME",
    "FIRST_CATALOGUE",
    "ArticleStat",
    "AuditedImage",
    "BuiltCounts",
    "BuiltPage",
    "CacheLock",
    "Catalogue",
    "CopyRow",
    "CopyUrls",
    "Document",
    "FileInfo",
    "HeldEntry",
    "HotlinkedUse",
    "ImageUse",
    "Index",
    "LocalDocument",
    "LocalImage",
    "LocalStore",
    "Marker",
    "ObjectDocument",
    "ObjectStore",
    "OtherSites",
    "PendingImage",
    "ProbeRow",
    "ProblemKey",
    "Quarantine",
    "QuarantinedUrl",
    "ReadArticle",
    "ReadError",
    "ReadableStore",
    "RecordedImage",
    "ReferenceMismatch",
    "ReferenceRow",
    "RemovedImages",
    "RemovedRecords",
    "SiteMember",
    "Store",
    "UnreadRow",
    "built_catalogues",
    "built_name",
    "catalogue_file",
    "catalogue_files",
    "check_bucket_url",
    "connect_bucket",
    "connect_read_only",
    "copy_databases",
    "forget_site",
    "further_file",
    "is_built",
    "is_latest_catalogue",
    "mirror_files",
    "parse_asset_path",
    "remove_unused_assets",
    "scan_time",
    "size_of",
    "unused_assets",
]

from .catalogue.audit_tables import CopyRow, ProbeRow
from .catalogue.built import BUILT_FIELD, BuiltCounts, BuiltPage
from .catalogue.catalogue import Catalogue
from .catalogue.rows import (
    ArticleStat,
    AuditedImage,
    HotlinkedUse,
    ImageUse,
    LocalImage,
    PendingImage,
    ReadArticle,
    ReadError,
    RecordedImage,
    ReferenceMismatch,
    ReferenceRow,
    UnreadRow,
)
from .catalogue.sites import (
    FIRST_CATALOGUE,
    OtherSites,
    SiteMember,
    built_catalogues,
    built_name,
    catalogue_file,
    catalogue_files,
    forget_site,
    further_file,
    is_built,
    is_latest_catalogue,
    scan_time,
)
from .index.copy_urls import CopyUrls
from .index.history import ProblemKey
from .index.index import HeldEntry, Index
from .index.read_only import connect_read_only, copy_databases
from .kept import RemovedImages, RemovedRecords, size_of
from .lock import CacheLock
from .quarantine import Quarantine, QuarantinedUrl, remove_unused_assets, unused_assets
from .store.connection import check_bucket_url, connect_bucket
from .store.documents import Document, LocalDocument
from .store.local import LocalStore
from .store.markers import Marker
from .store.merging import FILE_NAME
from .store.mirror import mirror_files
from .store.object_document import ObjectDocument
from .store.objects import ObjectStore
from .store.paths import parse_asset_path
from .store.protocol import ReadableStore, Store
from .store.values import FileInfo

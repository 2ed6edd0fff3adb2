__all__ = [
    "AuditRequest",
    "OpenCache",
    "SyncRequest",
    "Workspace",
    "as_given",
    "build_audit",
    "build_sync",
    "config_file",
    "fix_articles",
    "folder_with",
    "load_workspace",
    "load_workspaces",
    "name_of",
    "open_for_reading",
    "open_for_writing",
    "open_manifest",
    "path_as_given",
    "prepare_audit",
    "prepare_sync",
    "root_of",
    "site_of_article",
]

from .audit import AuditRequest, build_audit, fix_articles, prepare_audit
from .loading import as_given, config_file, load_workspace, load_workspaces, path_as_given, site_of_article
from .open_cache import OpenCache, folder_with, open_for_reading, open_for_writing, open_manifest
from .site_parts import name_of, root_of
from .sync import SyncRequest, build_sync, prepare_sync
from .workspace import Workspace

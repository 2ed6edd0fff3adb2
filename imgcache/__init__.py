"""imgcache: the remote images of an article site, fetched once, checked, resized and flagged.

In Python: `imgcache.sync(site)`, `imgcache.audit(site)`, `imgcache.rewrite(built)`, `imgcache.scan(site)` and
`imgcache.Manifest.open(cache)`. Names are loaded when they are first used, so that `import imgcache` loads neither
Pillow nor an HTTP client.
"""

from typing import TYPE_CHECKING

import lazy_loader

from imgcache.core.version import __version__ as __version__

if TYPE_CHECKING:
    from imgcache.core import AuditReport as AuditReport
    from imgcache.core import CacheBusy as CacheBusy
    from imgcache.core import ConfigError as ConfigError
    from imgcache.manifest import ManifestEntry as ManifestEntry
    from imgcache.publisher.rewrite import RewriteReport as RewriteReport
    from imgcache.scanner import ScanReport as ScanReport
    from imgcache.syncer import SyncReport as SyncReport
    from imgcache.wiring.public_manifest import Manifest as Manifest
    from imgcache.wiring.public_manifest import NotHeld as NotHeld
    from imgcache.wiring.python_api import Error as Error
    from imgcache.wiring.python_api import ProgressUpdate as ProgressUpdate
    from imgcache.wiring.python_api import audit as audit
    from imgcache.wiring.python_api import rewrite as rewrite
    from imgcache.wiring.python_api import scan as scan
    from imgcache.wiring.python_api import sync as sync

# In this one place not a stub, so that the folder of the package shows packages alone.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "core": ["AuditReport", "CacheBusy", "ConfigError"],
        "manifest": ["ManifestEntry"],
        "publisher.rewrite": ["RewriteReport"],
        "scanner": ["ScanReport"],
        "syncer": ["SyncReport"],
        "wiring.public_manifest": ["Manifest", "NotHeld"],
        "wiring.python_api": ["Error", "ProgressUpdate", "audit", "rewrite", "scan", "sync"],
    },
)

# `imgcache.mkdocs`, `imgcache.sphinx` and `imgcache.pelican` are found in this folder as well
# (https://docs.python.org/3/reference/import.html#package-path-rules; docs/decisions/0021-plugins.md).
__path__.append(f"{__path__[0]}/publisher/plugins")

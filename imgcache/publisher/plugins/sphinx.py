"""The extension for Sphinx: `extensions = ["imgcache.sphinx"]` in conf.py.

`imgcache_options` in conf.py is a dictionary of the options of `imgcache.rewrite`, and of `strict`. Warnings have the
type `imgcache`, for `suppress_warnings`, and fail a `sphinx-build -W`.
"""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.logging import getLogger
from sphinx.util.typing import ExtensionMetadata

from imgcache.core.version import __version__
from imgcache.wiring.after_build import rewrite_build
from imgcache.wiring.python_api import Error

_logger = getLogger(__name__)
_LAST = 900  # above the default of 500
_BUILDERS = frozenset({"html", "dirhtml", "singlehtml"})  # others pack pages into archives, or write no pages


class _Log:
    def info(self, message: str, /, *words: object) -> None:
        _logger.info(message, *words)

    def warning(self, message: str, /, *words: object) -> None:
        _logger.warning(message, *words, type="imgcache")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the extension (https://www.sphinx-doc.org/en/master/extdev/)."""
    app.add_config_value("imgcache_options", {}, "", types=dict)
    app.connect("build-finished", _rewrite, priority=_LAST)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}


def _rewrite(app: Sphinx, exception: Exception | None) -> None:
    """Make the pages that a builder of web pages wrote load local images.

    Raises:
        ExtensionError: an option or a setting is wrong, or with `strict` an image or page has a problem.
    """
    if exception is not None or app.builder.name not in _BUILDERS:
        return
    try:
        rewrite_build(app.outdir, app.confdir, app.config.imgcache_options, _Log())
    except Error as error:
        raise ExtensionError(str(error), error, "imgcache") from error

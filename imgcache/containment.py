"""The last safety net around one image: an exception that nothing else handles is a problem of that image alone."""

from __future__ import annotations

import logging
import traceback

from imgcache.errors import Internal
from imgcache.urls import clean, redact

logger = logging.getLogger(__name__)


def internal(error: Exception, url: str) -> Internal:
    """Write the traceback of an unforeseen exception to the log, at -v, and say what it is.

    Args:
        error: as it was caught, with its traceback.
        url: of the image that was worked on.

    Returns:
        The error to report in its place: where it happened, and that it is a bug to be reported.
    """
    logger.debug("%s: unforeseen", redact(url), exc_info=error)
    frames = traceback.extract_tb(error.__traceback__)
    module = frames[-1].filename.replace("\\", "/").rpartition("/")[2] if frames else "?"
    line = frames[-1].lineno if frames else 0
    what = clean(f"{type(error).__name__}: {error}", 120)
    return Internal(
        f"a bug in imgcache ({what}; {module}:{line}): please report it in the project's issue tracker, with this URL"
        " and the traceback that -v logs; other images are not affected"
    )

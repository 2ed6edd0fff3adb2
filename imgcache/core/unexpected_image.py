"""The last safety net around one image: what nothing else handles is a problem of that image alone.

An unforeseen exception is a bug, and is reported as one. Where no more files can be opened, the image is worked on
again after a while: other images close theirs in the meantime.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import TypeVar

from imgcache.core.descriptors import is_lack
from imgcache.core.errors import ImgcacheError, Internal, NoOpenFiles
from imgcache.core.urls import clean_text, redact

WAITS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds between two tries, while no more files can be opened

T = TypeVar("T")
logger = logging.getLogger(__name__)


async def contain_image_errors(
    work: Callable[[], Awaitable[T]], url: str, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> T:
    """What `work` returns; it is called again, a few times, where no more files can be opened.

    Args:
        work: does all that is to be done for one image.
        url: of that image.
        sleep: waits so many seconds.

    Raises:
        NoOpenFiles: it stayed so.
        Internal: `work` raised what nobody foresaw.
        ImgcacheError: `work` raised it.
    """
    for wait in (*WAITS, None):
        try:
            return await work()
        except Exception as error:
            if not is_lack(error):
                if isinstance(error, ImgcacheError):
                    raise
                raise unexpected_image_error(error, url) from error
            if wait is None:
                raise NoOpenFiles(
                    "no more files or connections can be opened on this machine; raise the limit (ulimit -n) or lower"
                    " fetch.concurrency, and run again"
                ) from error
            logger.debug("%s: no more files can be opened; again in %g s", redact(url), wait)
        await sleep(wait)
    raise AssertionError("the last round returns or raises")


def unexpected_image_error(error: Exception, url: str) -> Internal:
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
    what = clean_text(f"{type(error).__name__}: {error}", 120)
    return Internal(
        f"a bug in imgcache ({what}; {module}:{line}): please report it in the project's issue tracker, with this URL"
        " and the traceback that -v logs; other images are not affected"
    )

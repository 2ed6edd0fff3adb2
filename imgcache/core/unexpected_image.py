"""Turns an unexpected exception while one image is processed into a problem of that image.

Such an exception is a bug, and is reported as one. Where no more files can be opened, the image is tried again later:
other images close theirs in the meantime.
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

WAITS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds between attempts while no more files can be opened

T = TypeVar("T")
logger = logging.getLogger(__name__)


async def contain_image_errors(
    work: Callable[[], Awaitable[T]], url: str, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> T:
    """Returns the result of `work`, which is called again a few times while no more files can be opened.

    Args:
        work: processes one image.
        url: of that image.
        sleep: waits for a number of seconds.

    Raises:
        NoOpenFiles: no more files can be opened after all attempts.
        Internal: `work` raised an unexpected exception.
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
    """Log the traceback of an unexpected exception at -v, and return the error to report.

    Args:
        error: as it was caught, with its traceback.
        url: of the image.

    Returns:
        An error that says where it happened and asks for a report.
    """
    logger.debug("%s: unexpected exception", redact(url), exc_info=error)
    frames = traceback.extract_tb(error.__traceback__)
    module = frames[-1].filename.replace("\\", "/").rpartition("/")[2] if frames else "?"
    line = frames[-1].lineno if frames else 0
    what = clean_text(f"{type(error).__name__}: {error}", 120)
    return Internal(
        f"a bug in imgcache ({what}; {module}:{line}): please report it in the project's issue tracker, with this URL"
        " and the traceback that -v logs; other images are not affected"
    )

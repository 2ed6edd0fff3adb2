"""Contains unexpected exceptions: a bug becomes a problem of one image or one article and never ends the run.

Where no more files can be opened, the work on an image is tried again after a while: other images close theirs in the
meantime.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from imgcache.core.descriptors import is_out_of_descriptors
from imgcache.core.errors import ArticleInternal, ImgcacheError, Internal, NoOpenFiles
from imgcache.core.urls import clean_text, redact

WAITS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds between two attempts while no more files can be opened

T = TypeVar("T")
logger = logging.getLogger(__name__)


async def contain_image_errors(
    work: Callable[[], Awaitable[T]], url: str, *, sleep: Callable[[float], Awaitable[None]]
) -> T:
    """Return what `work` returns; call it again, a few times, where no more files can be opened.

    Args:
        work: does everything that one image needs.
        url: the URL of that image.
        sleep: waits the given number of seconds.

    Raises:
        NoOpenFiles: there were no free files at the last attempt either.
        Internal: `work` raised an unexpected exception.
        ImgcacheError: `work` raised it.
    """
    for wait in (*WAITS, None):
        try:
            return await work()
        except Exception as error:
            if not is_out_of_descriptors(error):
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
    raise AssertionError("the last attempt returns or raises")


@contextlib.contextmanager
def contain_article_errors(article: str) -> Iterator[None]:
    """Turn an unexpected exception into an error of this article, and log its traceback at -v.

    Raises:
        ArticleInternal: in place of the exception.
    """
    try:
        yield
    except ImgcacheError:
        raise
    except Exception as error:
        log(article, trace(error))
        raise unexpected_article_error(error) from error


def unexpected_image_error(error: Exception, url: str) -> Internal:
    """Return the error to report in place of an unexpected exception, and log its traceback at -v.

    Args:
        error: the exception as it was caught, with its traceback.
        url: the URL of the image that was worked on.
    """
    log(redact(url), trace(error))
    return Internal(_describe(error, "this URL"))


def unexpected_article_error(error: Exception, about: str = "this article") -> ArticleInternal:
    """Return the error of an article for an exception that nothing else handles.

    Args:
        error: the exception as it was caught, with its traceback.
        about: what to attach to a bug report.
    """
    return ArticleInternal(_describe(error, about))


def trace(error: BaseException) -> str:
    """Return the traceback of an exception, for a log."""
    return "".join(traceback.format_exception(error)).rstrip()


def log(about: str, text: str) -> None:
    """Write the traceback of a problem with one article or image to the log."""
    logger.debug("%s: %s", clean_text(about, 300), text)


def _describe(error: Exception, about: str) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    module = frames[-1].filename.replace("\\", "/").rpartition("/")[2] if frames else "?"
    line = frames[-1].lineno if frames else 0
    what = clean_text(f"{type(error).__name__}: {error}", 120)
    return (
        f"a bug in imgcache ({what}; {module}:{line}): please report it in the project's issue tracker, with {about}"
        " and the traceback that -v logs; nothing else is affected"
    )

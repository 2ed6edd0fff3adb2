"""Turns an unexpected exception while one article is read or edited into a problem of that article."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator

from imgcache.core.errors import ArticleInternal, ImgcacheError
from imgcache.core.urls import clean_text

logger = logging.getLogger(__name__)


def unexpected_article_error(error: Exception, about: str = "this article") -> ArticleInternal:
    """Returns the error of an article for an exception that nothing else handles.

    Args:
        error: as it was caught, with its traceback.
        about: what was processed.
    """
    frame = traceback.extract_tb(error.__traceback__)[-1]
    module = frame.filename.replace("\\", "/").rpartition("/")[2]
    what = clean_text(f"{type(error).__name__}: {error}", 120)
    return ArticleInternal(
        f"a bug in imgcache ({what}; {module}:{frame.lineno}); report it in the project's issue tracker, with {about}"
        " and the traceback that -v logs; nothing else is affected"
    )


def trace(error: BaseException) -> str:
    """Returns the traceback of an exception, for a log."""
    return "".join(traceback.format_exception(error)).rstrip()


@contextlib.contextmanager
def contain_article_errors(article: str) -> Iterator[None]:
    """Turn an unexpected exception into an error of this article, and log its traceback at -v.

    Raises:
        ArticleInternal: in place of the unexpected exception.
    """
    try:
        yield
    except ImgcacheError:
        raise
    except Exception as error:
        log(article, trace(error))
        raise unexpected_article_error(error) from error


def log(about: str, text: str) -> None:
    """Write the traceback of a problem with one article or image to the log."""
    logger.debug("%s: %s", clean_text(about, 300), text)

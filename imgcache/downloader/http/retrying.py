"""Repeats a request that failed for a reason that may pass, after a wait that holds no slot."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from imgcache.core import FetchTimeout, HostDown, HttpStatus, ImageError, redact
from imgcache.downloader.http.exchange import Read
from imgcache.downloader.http.politeness import BUSY
from imgcache.downloader.http.redirects import Redirects
from imgcache.downloader.http.statistics import HostStatistics

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Retrying:
    """Repeats failed requests.

    Args:
        delay: the seconds to wait after attempt number n (from 1) failed with this error; None to give up.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        redirects: Redirects,
        *,
        delay: Callable[[int, ImageError], float | None],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._redirects = redirects
        self._delay = delay
        self._sleep = sleep

    async def send(self, url: str, headers: Mapping[str, str], read: Read[T], spent: HostStatistics) -> T:
        """Return what `read` makes of the final response to `url`; `spent` counts refusals, time-outs and waits.

        Raises:
            ImageError: that of the last attempt, or an earlier one where the host was not asked any more.
        """
        earlier: ImageError | None = None
        for attempt in itertools.count(1):
            try:
                return await self._redirects.send(url, headers, read)
            except ImageError as error:
                spent.busy += isinstance(error, HttpStatus) and error.status in BUSY
                spent.timeouts += isinstance(error, FetchTimeout)
                if (wait := self._delay(attempt, error)) is None:
                    if earlier is not None and isinstance(error, HostDown):
                        raise earlier from earlier.__cause__  # the failure of a real request tells more
                    raise
                earlier = error.with_traceback(None)  # the traceback holds this frame, and the frame the error
                logger.debug("%s: %s; again in %.1f s", redact(url), error.message, wait)
            spent.waited += wait
            await self._sleep(wait)
        raise AssertionError("itertools.count ended")

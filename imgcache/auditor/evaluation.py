"""Evaluates what an audit learned about every image, and yields the findings."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator

from imgcache.auditor import checks
from imgcache.auditor.alternative_urls import stem
from imgcache.auditor.copies import MissingFiles
from imgcache.auditor.history import AuditHistory
from imgcache.auditor.remote_checks import RemoteChecks
from imgcache.cache import AuditedImage, Catalogue, ImageUse, Index, quarantine
from imgcache.core import Dimensions, Failure, Finding, ImageError, Kind, Placeholder, Severity, UrlState, request_url
from imgcache.policy import health, shared_placeholders

logger = logging.getLogger(__name__)


class Evaluation:
    """The findings of one audit, without dates and unsorted."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        index: Index,
        history: AuditHistory,
        remote: RemoteChecks | None,
        incomplete: list[MissingFiles],
        dimensions: Dimensions,
        has_cache: bool,
        now: float,
    ) -> None:
        """Take what is known.

        Args:
            catalogue: images, references and probe results.
            index: records by URL.
            history: what earlier audits recorded.
            remote: the finished remote checks; None if no host was contacted.
            incomplete: the cached copies that lack files.
            dimensions: check | fix | ignore.
            has_cache: whether the site has a cache at all.
            now: seconds since the epoch.
        """
        self._has_cache = has_cache
        self._catalogue = catalogue
        self._index = index
        self._history = history
        self._remote = remote
        self._incomplete = incomplete
        self._dimensions = dimensions
        self._now = now

    def findings(self) -> Iterator[Finding]:
        """Yields every finding."""
        for problem in self._catalogue.articles.unreadable():
            yield checks.unreadable(problem)
        broken = {image: (code, message) for image, code, message in self._catalogue.audit.broken_local()}
        for image in self._catalogue.audit.images(broken):
            yield checks.broken_file(image, *broken[image.image])
        absent = {copy.image: copy.absent for copy in self._incomplete}
        for image in self._catalogue.audit.images(absent):
            yield checks.variants(image, absent[image.image])
        yield from self._quarantined()
        placeholders, found = self._placeholders()
        yield from found
        yield from self._flags_and_sizes(placeholders)
        if self._remote is None:
            yield from self._invalid_urls()
        elif self._remote.is_network_down:
            logger.error("no host answers: the network seems to be down, so remote images are not judged")
            yield checks.no_network(self._remote.tried)
        else:
            yield from self._failures(self._remote, placeholders)
            yield from self._answered(self._remote)

    def _quarantined(self) -> Iterator[Finding]:
        for problem in quarantine.problems(self._index, self._catalogue):
            image = self._catalogue.images.number(problem.url or "")
            if image is not None:
                yield checks.quarantined(self._catalogue.audit.image(image), problem.code, problem.message)

    def _placeholders(self) -> tuple[set[int], list[Finding]]:
        """The images that a host shows in place of others: by the probes of this run, else by the cached copies."""
        shared = (
            self._catalogue.shared_bytes.references if self._remote is None else self._catalogue.audit.shared_probes
        )
        suspects = shared_placeholders.find_shared_placeholders(
            shared(shared_placeholders.SHARED_BY, self._index.placeholders())
        )
        found = [
            checks.shared_placeholder(image, shared_placeholders.placeholder_problem(image.url).message)
            for image in self._catalogue.audit.images(suspects.refused)
        ]
        for problem, urls in suspects.warnings:
            images = [
                self._catalogue.audit.image(number)
                for url in urls
                if (number := self._catalogue.images.number(url)) is not None
            ]
            uses = tuple(use for image in images for use in image.uses)
            found.append(checks.shared_placeholder(images[0]._replace(uses=uses), problem.message, Severity.WARNING))
        return set(suspects.refused), found

    def _flags_and_sizes(self, placeholders: Collection[int]) -> Iterator[Finding]:
        remote = self._remote
        unsized = set(placeholders) | set(remote.trackers if remote else ())
        unsure = set(remote.failures) | set(remote.redirected) if remote else set()
        uncached: list[tuple[ImageUse, ...]] = []
        for image in self._catalogue.audit.mismatches():
            if self._has_cache:
                yield from checks.flags(image, self._dimensions)
            elif uses := checks.without_copy(image):
                uncached.append(uses)
            if self._dimensions != Dimensions.IGNORE and image.image not in unsized:
                yield from checks.sizes(image, is_sure=image.image not in unsure, state=self._state(image))
        if uncached:
            uses_by_place = sorted((use for uses in uncached for use in uses), key=lambda use: use.place)
            yield checks.no_cache(len(uncached), uses_by_place)

    def _invalid_urls(self) -> Iterator[Finding]:
        """Remote images whose URL no host can be asked for; this needs no network."""
        for image, url in self._catalogue.audit.without_host():
            try:
                request_url(url)
            except ImageError as error:
                failure = Failure(error.code, error.message, self._now, self._now, 1)
                yield checks.failing(self._catalogue.audit.image(image), failure, None, self._now, None)

    def _failures(self, remote: RemoteChecks, placeholders: Collection[int]) -> Iterator[Finding]:
        other_sizes = self._other_sizes(remote)
        trackers = frozenset(remote.trackers)
        for image in self._catalogue.audit.images(remote.failures):
            number, failure = image.image, remote.failures[image.image]
            if number in placeholders or (number in trackers and failure.code == Placeholder.code):
                continue  # reported already
            alternative = remote.alternatives.get(number) or other_sizes.get(stem(image.url))
            yield checks.failing(image, failure, self._history.past(image.url), self._now, alternative)

    def _other_sizes(self, remote: RemoteChecks) -> dict[str, str]:
        """By the stem of a failing URL: a URL of the site that answers and differs only in its size."""
        without_alternative = remote.failures.keys() - remote.alternatives.keys()
        failing = {stem(self._catalogue.images.url(image)) for image in without_alternative}
        found: dict[str, str] = {}
        if failing:
            for url in self._catalogue.audit.probed_urls():
                if (key := stem(url)) in failing:
                    found.setdefault(key, url)
        return found

    def _answered(self, remote: RemoteChecks) -> Iterator[Finding]:
        """What is wrong with images that their servers delivered."""
        for image in self._catalogue.audit.images(remote.insecure):
            yield checks.insecure(image, remote.insecure[image.image], self._state(image))
        targets: dict[str, set[str]] = defaultdict(set)
        for number, hops in remote.redirected.items():
            targets[hops[-1].url].add(stem(self._catalogue.images.url(number)))
        for image in self._catalogue.audit.images(remote.redirected):
            hops = remote.redirected[image.image]
            yield checks.redirected(image, hops, len(targets[hops[-1].url]), self._state(image))
        for image in self._catalogue.audit.images(remote.trackers):
            yield checks.tracker(image, self._state(image))
        for host, certificate in remote.expiring.items():
            uses = [use for image in self._catalogue.audit.images(certificate.images) for use in image.uses]
            uses.sort(key=lambda use: use.place)
            yield checks.certificate(host, certificate.ends, self._now, uses)

    def _state(self, image: AuditedImage) -> UrlState | None:
        """The state of an image that did not fail in this run; None for own images and if no host was contacted."""
        if self._remote is None or image.kind is not Kind.REMOTE or image.image in self._remote.failures:
            return None
        return health.url_state(None, self._history.past(image.url), self._now)

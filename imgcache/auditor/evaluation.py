"""Goes over what is known of every image, and has each judged where something may be wrong."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterator

from imgcache.auditor import alternative_urls as forms
from imgcache.auditor import checks as judge
from imgcache.auditor.copies import MissingFiles
from imgcache.auditor.history import AuditHistory
from imgcache.auditor.remote_checks import RemoteChecks
from imgcache.cache import AuditedImage, Catalogue, ImageUse, Index, quarantine
from imgcache.core import Dimensions, Failure, Finding, ImageError, Kind, Placeholder, Severity, UrlState, request_url
from imgcache.policy import health
from imgcache.policy import shared_placeholders as cards

logger = logging.getLogger(__name__)


class Evaluation:
    """The findings of one audit, without their dates and their order."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        index: Index,
        memory: AuditHistory,
        looking: RemoteChecks | None,
        lacks: list[MissingFiles],
        dimensions: Dimensions,
        has_cache: bool,
        now: float,
    ) -> None:
        """`looking` is done, or None where no host was asked; `dimensions`: check | fix | ignore."""
        self._has_cache = has_cache
        self._catalogue = catalogue
        self._index = index
        self._memory = memory
        self._looking = looking
        self._lacks = lacks
        self._dimensions = dimensions
        self._now = now

    def findings(self) -> Iterator[Finding]:
        """Everything that is wrong."""
        for problem in self._catalogue.unreadable():
            yield judge.unreadable(problem)
        wrong = {image: (code, message) for image, code, message in self._catalogue.broken_files()}
        for named in self._catalogue.all_named(wrong):
            yield judge.broken_file(named, *wrong[named.image])
        absent = {lack.image: lack.absent for lack in self._lacks}
        for named in self._catalogue.all_named(absent):
            yield judge.variants(named, absent[named.image])
        yield from self._doubtful()
        refused, found = self._cards()
        yield from found
        yield from self._disagreements(refused)
        if self._looking is None:
            yield from self._unaskable()
        elif self._looking.is_network_down:
            logger.error("no host answers: the network is taken to be down, and nothing is said of remote images")
            yield judge.no_network(self._looking.tried)
        else:
            yield from self._failures(self._looking, refused)
            yield from self._remarks(self._looking)

    def _doubtful(self) -> Iterator[Finding]:
        for problem in quarantine.problems(self._index, self._catalogue):
            image = self._catalogue.image(problem.url or "")
            if image is not None:
                yield judge.quarantined(self._catalogue.named(image), problem.code, problem.message)

    def _cards(self) -> tuple[set[int], list[Finding]]:
        """Pictures that stand for others, by what was seen now, else by the copies held."""
        seen = self._catalogue.sharing if self._looking is None else self._catalogue.shared_looks
        suspects = cards.find_shared_placeholders(seen(cards.SHARED_BY, self._index.cards()))
        found = [
            judge.shared_placeholder(named, cards.placeholder_problem(named.url).message)
            for named in self._catalogue.all_named(suspects.refused)
        ]
        for problem, urls in suspects.warnings:
            images = [image for url in urls if (image := self._catalogue.image(url)) is not None]
            named = self._catalogue.named(images[0])
            uses = [use for image in images for use in self._catalogue.named(image).uses]
            found.append(judge.shared_placeholder(named._replace(uses=tuple(uses)), problem.message, Severity.WARNING))
        return set(suspects.refused), found

    def _disagreements(self, refused: Collection[int]) -> Iterator[Finding]:
        looking = self._looking
        unjudged = set(refused) | set(looking.trackers if looking else ())
        unsure = set(looking.failures) | set(looking.redirected) if looking else set()
        bare: list[tuple[ImageUse, ...]] = []
        for named in self._catalogue.questionable():
            if self._has_cache:
                yield from judge.flags(named, self._dimensions)
            elif uses := judge.without_copy(named):
                bare.append(uses)
            if self._dimensions != Dimensions.IGNORE and named.image not in unjudged:
                yield from judge.sizes(named, is_sure=named.image not in unsure, state=self._state(named))

        if bare:
            yield judge.no_cache(len(bare), sorted((use for uses in bare for use in uses), key=lambda use: use.place))

    def _unaskable(self) -> Iterator[Finding]:
        """Remote images that no host could be asked for: this needs no network to be known."""
        for image, url in self._catalogue.unaskable():
            try:
                request_url(url)
            except ImageError as error:
                failure = Failure(error.code, error.message, self._now, self._now, 1)
                yield judge.failing(self._catalogue.named(image), failure, None, self._now, None)

    def _failures(self, looking: RemoteChecks, refused: Collection[int]) -> Iterator[Finding]:
        siblings = self._siblings(looking)
        trackers = frozenset(looking.trackers)
        for named in self._catalogue.all_named(looking.failures):
            image, failure = named.image, looking.failures[named.image]
            if image in refused or (image in trackers and failure.code == Placeholder.code):
                continue  # that is said already
            nearer = looking.nearer.get(image) or siblings.get(forms.stem(named.url))
            yield judge.failing(named, failure, self._memory.past(named.url), self._now, nearer)

    def _siblings(self, looking: RemoteChecks) -> dict[str, str]:
        """By what it shares with one that fails: an address of the site that answers, and differs in its size."""
        failing = {forms.stem(self._catalogue.url(image)) for image in looking.failures.keys() - looking.nearer.keys()}
        if not failing:
            return {}
        found: dict[str, str] = {}
        for url in self._catalogue.looked_urls():
            if (stem := forms.stem(url)) in failing:
                found.setdefault(stem, url)
        return found

    def _remarks(self, looking: RemoteChecks) -> Iterator[Finding]:
        """What is wrong with images that are there."""
        for named in self._catalogue.all_named(looking.insecure):
            yield judge.insecure(named, looking.insecure[named.image], self._state(named))
        targets: dict[str, set[str]] = defaultdict(set)
        for image, hops in looking.redirected.items():
            targets[hops[-1].url].add(forms.stem(self._catalogue.url(image)))
        for named in self._catalogue.all_named(looking.redirected):
            hops = looking.redirected[named.image]
            yield judge.redirected(named, hops, len(targets[hops[-1].url]), self._state(named))
        for named in self._catalogue.all_named(looking.trackers):
            yield judge.tracker(named, self._state(named))
        for host, ending in looking.endings.items():
            uses = [use for named in self._catalogue.all_named(ending.images) for use in named.uses]
            uses.sort(key=lambda use: use.place)
            yield judge.certificate(host, ending.ends, self._now, uses)

    def _state(self, named: AuditedImage) -> UrlState | None:
        """How an image does that did not fail now; None for one of the site, and where no host was asked."""
        if self._looking is None or named.kind is not Kind.REMOTE or named.image in self._looking.failures:
            return None
        return health.url_state(None, self._memory.past(named.url), self._now)

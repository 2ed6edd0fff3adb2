"""The decisions of a sync: the clock is passed in, nothing is done."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcache.core import Asset, Copy, Declared, Dimensions, Edit, Reference, Severity, Size
from imgcache.policy import SizeMatch, Step, SyncPolicy, plan

DAY = 86_400.0
COPY = Copy(digest="d", fetched_at=0.0, checked_at=0.0)
ASSET = Asset("d", "image/png", "png", 4, 3, 1, 9, "#000000", "data:,", "assets/d/original.png", (), ("r",))
WISH = SyncPolicy(recipes=("r",), refresh_after=30 * DAY)


@pytest.mark.parametrize(
    ("copy", "asset", "missing", "wish", "now", "step"),
    [
        (None, None, (), WISH, 0.0, Step.FETCH),
        (COPY, None, (), WISH, 0.0, Step.FETCH),
        (COPY, ASSET, ("assets/d/original.png",), WISH, 0.0, Step.FETCH),
        (COPY, ASSET, (), WISH, DAY, Step.REUSE),
        (COPY, ASSET, ("assets/d/w.webp",), WISH, DAY, Step.RENDER),
        (COPY, ASSET, (), SyncPolicy(recipes=("other",)), DAY, Step.RENDER),
        (COPY, ASSET, (), WISH, 30 * DAY, Step.REVALIDATE),
        (COPY, ASSET, (), SyncPolicy(recipes=("r",), refresh=True), 1.0, Step.REVALIDATE),
        (COPY, ASSET, (), SyncPolicy(recipes=("r",), refresh=True, offline=True), 1.0, Step.REUSE),
        (COPY, ASSET, (), WISH, -2 * DAY, Step.REVALIDATE),  # the clock was set back by days: ask, and be sure
    ],
)
def test_the_next_step_follows_from_the_state(
    copy: Copy | None, asset: Asset | None, missing: tuple[str, ...], wish: SyncPolicy, now: float, step: Step
) -> None:
    assert plan.next_step(copy, asset, missing, wish, now) is step


@pytest.mark.parametrize(
    ("declared", "fit"),
    [
        (Declared(400, 300), SizeMatch.EXACT),
        (Declared(), SizeMatch.EXACT),
        (Declared(width=400), SizeMatch.EXACT),
        (Declared(width=200), SizeMatch.SCALED),
        (Declared(200, 150), SizeMatch.SCALED),
        (Declared(800, 600), SizeMatch.SCALED),
        (Declared(406, 300), SizeMatch.SCALED),  # 1.5 % off
        (Declared(409, 300), SizeMatch.OTHER),  # 2.25 % off
        (Declared(300, 400), SizeMatch.OTHER),
    ],
)
def test_the_declared_size_is_compared_with_the_true_one(declared: Declared, fit: SizeMatch) -> None:
    assert plan.compare_size(declared, Size(400, 300)) is fit


sizes = st.builds(Size, st.integers(1, 20_000), st.integers(1, 20_000))
references = st.builds(
    Reference,
    url=st.just("https://a.example/x"),
    article=st.just("a.md"),
    line=st.just(3),
    column=st.just(5),
    field=st.just("images"),
    declared=st.builds(Declared, st.none() | st.integers(1, 20_000), st.none() | st.integers(1, 20_000)),
    is_cached=st.none() | st.booleans(),
    flaggable=st.booleans(),
)


@given(references, st.booleans(), st.none() | sizes, st.sampled_from(Dimensions), st.booleans())
def test_a_flag_needs_a_cached_image_and_is_cleared_only_if_allowed(
    reference: Reference, held: bool, true: Size | None, dimensions: Dimensions, may_clear: bool
) -> None:
    verdict = plan.decide_flag(reference, held=held, true=true, dimensions=dimensions, may_clear=may_clear)
    flag = verdict.edit.flag if verdict.edit else None
    if flag is True:
        assert held
        assert reference.flaggable
        assert not reference.is_cached
    if flag is False:
        assert may_clear
        assert reference.is_cached
    if flag is None and reference.flaggable and may_clear:
        passes = (
            true is None
            or dimensions is not Dimensions.CHECK
            or plan.compare_size(reference.declared, true) is not SizeMatch.OTHER
        )
        assert bool(reference.is_cached) == (held and passes)


def test_dimensions_fix_writes_the_size_and_check_reports_it() -> None:
    reference = Reference("u", "a.md", 3, 5, "images", Declared(400, 300), None, flaggable=True)
    fixed = plan.decide_flag(reference, held=True, true=Size(300, 400), dimensions=Dimensions.FIX, may_clear=True)
    assert (fixed.edit, fixed.severity) == (Edit(3, 5, True, Size(300, 400)), None)
    told = plan.decide_flag(reference, held=True, true=Size(300, 400), dimensions=Dimensions.CHECK, may_clear=True)
    assert (told.edit, told.severity) == (None, Severity.ERROR)
    assert "declared 400×300, the image is 300×400: another shape" in plan.describe_mismatch(
        reference.declared, Size(300, 400)
    )

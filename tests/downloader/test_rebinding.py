"""Names whose addresses change during requests, or that are both public and private: every step is checked."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from imgcache.core import FetchPolicy, ImageError, Limits
from imgcache.downloader import Guard, Prober
from tests.support.faults import HANDLERS, IMAGE, Faults, Handler, faults, response
from tests.support.network import LIMITS, Names, Sleeper, contents, downloader, outcome

PUBLIC, PRIVATE = "127.0.0.1", "127.0.0.2"  # by this guard; the second one has a server too, which is never to be met
GUARD = Guard([f"{PUBLIC}/32"])


@pytest.fixture(autouse=True)
def _each_time_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection asks the resolver, as with an attacker's TTL of 0."""
    monkeypatch.setattr("imgcache.downloader.http.connector.DNS_TTL", 0)


def _once_and_away(body: bytes, *fields: str, status: str = "200 OK") -> Handler:
    async def answer(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(response(body, status, "Connection: close", *fields))
        await writer.drain()
        writer.close()

    return answer


async def _hang_up(_: Faults, writer: asyncio.StreamWriter, head: bytes) -> None:
    writer.close()


@pytest.mark.parametrize("step", ["redirect", "retry", "robots.txt"])
def test_a_name_that_turns_private_between_two_requests_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setitem(HANDLERS, "/robots.txt", _once_and_away(b"User-agent: *\nAllow: /\n"))
    monkeypatch.setitem(HANDLERS, "/start", _hang_up)
    if step == "redirect":
        monkeypatch.setitem(HANDLERS, "/start", _once_and_away(b"", "Location: /good", status="302 Found"))

    async def scene() -> None:
        async with faults() as origin, faults(host=PRIVATE) as victim:
            names = Names(evil_org=[[PUBLIC], [PRIVATE]])
            robots = step == "robots.txt"
            sleep = Sleeper()
            async with downloader(
                tmp_path, guard=GUARD, names=names, retries=1, sleep=sleep, respect_robots=robots
            ) as fetching:
                assert await outcome(fetching, origin.url("/start", "evil.org")) == "blocked-address"
            assert (names.asked, origin.connections, victim.connections) == (2, 1, 0)

    asyncio.run(scene())
    assert contents(tmp_path) == []


def test_a_name_that_turns_private_between_two_probes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit that requests a second range of an image."""
    monkeypatch.setitem(HANDLERS, "/part", _once_and_away(b"", "Content-Range: bytes */9", status="416 Nothing"))

    async def scene() -> str:
        async with faults() as origin, faults(host=PRIVATE) as victim:
            names = Names(evil_org=[[PUBLIC], [PRIVATE]])
            policy = FetchPolicy(retries=0)
            async with Prober(
                limits=LIMITS, policy=policy, guard=GUARD, resolver=names, rng=random.Random(1)
            ) as prober:
                with pytest.raises(ImageError) as caught:
                    await prober.probe(origin.url("/part", "evil.org"))
            assert (origin.connections, victim.connections) == (1, 0)
            return caught.value.code

    assert asyncio.run(scene()) == "blocked-address"


@pytest.mark.parametrize("seed", range(4))
def test_a_resolver_with_changing_answers_never_leads_to_a_private_address(tmp_path: Path, seed: int) -> None:
    """Two hundred random answers, twelve simultaneous requests."""
    rng = random.Random(seed)
    bad = [PRIVATE, f"::ffff:{PRIVATE}", "10.0.0.1", "::1", "fe80::1%lo", "0.0.0.0", "64:ff9b::7f00:2"]
    rounds = [rng.sample([PUBLIC, *bad], rng.randrange(1, 5)) for _ in range(200)]

    async def scene() -> None:
        async with faults() as origin, faults(host=PRIVATE) as victim:
            names = Names(evil_org=rounds)
            policy = FetchPolicy(per_host=12, retries=0)
            async with downloader(tmp_path, guard=GUARD, names=names, policy=policy) as fetching:
                urls = [origin.url(f"/good?{number}", "evil.org") for number in range(60)]
                urls += [victim.url(f"/good?{number}", "evil.org") for number in range(60)]
                found = await asyncio.gather(*(outcome(fetching, url) for url in urls))
            assert set(found[:60]) <= {"ok", "blocked-address"}
            assert "ok" not in found[60:]
            assert victim.connections == 0

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("addresses", "code"),
    [
        ([f"::ffff:{PRIVATE}", PUBLIC], "ok"),
        ([PUBLIC, "::1"], "ok"),
        (["fd00::1", "fe80::1%lo", "2002:7f00:2::1", PUBLIC], "ok"),
        ([f"::ffff:{PUBLIC}", PRIVATE], "ok"),
        ([PRIVATE, f"::ffff:{PRIVATE}", "::1"], "blocked-address"),
        (["64:ff9b::7f00:2", "::", "0.0.0.0"], "blocked-address"),
        (["not an address"], "blocked-address"),
        ([], "dns"),
    ],
)
def test_public_and_private_addresses_are_each_checked(tmp_path: Path, addresses: Sequence[str], code: str) -> None:
    async def scene() -> None:
        async with faults() as origin, faults(host=PRIVATE) as victim:
            names = Names(both_org=[addresses])
            limits = Limits(bytes=1_000_000, connect=5.0, read=5.0, total=5.0)
            async with downloader(tmp_path, guard=GUARD, names=names, limits=limits) as fetching:
                assert await outcome(fetching, origin.url("/good", "both.org")) == code
            assert victim.connections == 0
            assert origin.connections == (code == "ok")

    asyncio.run(scene())
    assert contents(tmp_path) == [IMAGE] * (code == "ok")

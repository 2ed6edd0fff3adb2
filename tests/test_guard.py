"""Addresses: what is public, on paper and at the socket."""

from __future__ import annotations

import asyncio
import ipaddress
import pathlib
import socket
from collections.abc import Sequence

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from imgcache.downloader import Downloader
from imgcache.errors import BlockedAddress, ConfigError, ImageError
from imgcache.models import Fetched, FetchPolicy, Limits
from imgcache.net.connect_to import ConnectTo
from imgcache.net.guard import Guard, is_public
from tests.faults import faults

NOT_PUBLIC = """
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16
    169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1
    198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:0:8.8.8.8 64:ff9b::10.0.0.1
    64:ff9b:1::1 64:ff9b:1::10.0.0.1 64:ff9b:1:a00:0:100:: 100::1 2001::1 2001:2::1 2001:10::1 2001:20::1 2001:db8::1
    2002:7f00:1::1 2002:a00:1:: 2002:c0a8:101::1 2001:0:a00:1:0:0:f7f7:f7f7 2001:0:808:808:0:0:80ff:fffe
    2606:4700::5efe:10.0.0.1 2606:4700::200:5efe:127.0.0.1 fe80::5efe:8.8.8.8 3fff::1 5f00::1 fc00::1 fd00:ec2::254
    fe80::1 fec0::1 ff02::1 4000::1
"""
PUBLIC = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 172.15.255.255 172.32.0.0
    192.0.1.0 192.167.255.255 198.17.255.255 198.20.0.0 223.255.255.255 ::ffff:8.8.8.8 64:ff9b::8.8.8.8
    2002:808:808::1 2001:0:808:808:0:0:f7f7:f7f7 2606:4700::1111 2a00:1450:4001::200e 2606:4700::5efe:8.8.8.8
"""


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_never_more_open_than_the_standard_library(address: ipaddress.IPv4Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=6))
def test_never_more_open_than_the_standard_library_v6(address: ipaddress.IPv6Address) -> None:
    nat64 = address in ipaddress.ip_network("64:ff9b::/96")
    if is_public(address) and not address.ipv4_mapped and not nat64:
        assert address in ipaddress.ip_network("2000::/3")
        assert address.sixtofour or address.teredo or address.is_global


@given(st.ip_addresses(v=4))
def test_an_embedded_address_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    forms = [(0xFFFF << 32) | number, (0x64FF9B << 96) | number, (0x2002 << 112) | number << 80]
    assert [is_public(ipaddress.IPv6Address(form)) for form in forms] == [is_public(address)] * 3


def test_an_operator_opens_what_he_names_and_no_more() -> None:
    guard = Guard(["10.1.0.0/16", "fd12::/32"])
    assert guard.allows("10.1.2.3")
    assert guard.allows("::ffff:10.1.2.3")
    assert guard.allows("fd12::1")
    assert guard.allows("8.8.8.8")
    assert not guard.allows("10.2.0.1")
    assert not guard.allows("127.0.0.1")
    assert not guard.allows("fd13::1")
    assert not guard.allows("example.org")


@pytest.mark.parametrize("block", ["10.0.0.1/8", "10.0.0.0/33", "intranet", ""])
def test_a_block_that_is_none_is_a_setting_to_mend(block: str) -> None:
    with pytest.raises(ConfigError, match="allow_networks"):
        Guard([block])


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a.org:443:127.0.0.1:8443", ConnectTo("a.org", 443, "127.0.0.1", 8443)),
        ("::localhost:80", ConnectTo(None, None, "localhost", 80)),
        ("A.org:::", ConnectTo("a.org", None, None, None)),
        ("[::1]:80:[2001:db8::1]:81", ConnectTo("::1", 80, "2001:db8::1", 81)),
    ],
)
def test_connect_to_reads_what_curl_reads(text: str, rule: ConnectTo) -> None:
    assert ConnectTo.parse(text) == rule


@pytest.mark.parametrize("text", ["", "a:1:b", "a:1:b:2:3", "::1:80:b:1", "a:0:b:1", "a:1:b:65536", "a:x:b:1"])
def test_connect_to_refuses_the_rest(text: str) -> None:
    with pytest.raises(ConfigError, match="--connect-to"):
        ConnectTo.parse(text)


class Names(AbstractResolver):
    """DNS with the answers of a test; each name may answer differently each time it is asked."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self.answers = {name.replace("_", "."): list(rounds) for name, rounds in answers.items()}
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        self.asked += 1
        rounds = self.answers.get(host)
        if not rounds:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        addresses = rounds.pop(0) if len(rounds) > 1 else rounds[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


def downloader(
    folder: pathlib.Path, guard: Guard | None = None, names: Names | None = None, connect_to: Sequence[str] = ()
) -> Downloader:
    return Downloader(
        folder=folder,
        sniff=lambda head: "png" if head.startswith(b"\x89PNG") else None,
        limits=Limits(connect=2, read=2, total=4),
        policy=FetchPolicy(retries=0),
        guard=guard or Guard(),
        resolver=names,
        connect_to=[ConnectTo.parse(text) for text in connect_to],
    )


async def code(fetching: Downloader, url: str) -> str:
    """`ok`, or the code of the error."""
    try:
        await fetching.fetch(url)
    except ImageError as error:
        return error.code
    return "ok"


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "LOCALHOST", "localhost.", "１２７.０.０.１", "[::]"),
        *("0.0.0.0", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "169.254.169.254", "127.0.0.1.", "[::7f00:1]"),
    ],
)
def test_nothing_reaches_this_machine_by_any_spelling(tmp_path: pathlib.Path, host: str) -> None:
    async def scene() -> None:
        async with faults() as origin, downloader(tmp_path) as fetching:
            assert await code(fetching, origin.url("/good", host)) in {"blocked-address", "bad-url"}
            assert origin.connections == 0

    asyncio.run(scene())


def test_a_redirect_to_a_private_address_is_refused(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        async with faults() as origin, downloader(tmp_path, connect_to=[f"pub.org:80:127.0.0.1:{origin.port}"]) as f:
            assert await code(f, "http://pub.org/good") == "ok"
            for target in (origin.url("/good"), "http://localhost/", "http://[::1]/", "http://169.254.169.254/latest/"):
                assert await code(f, f"http://pub.org/to?{target}") == "blocked-address"
            assert await code(f, "http://pub.org/to?http://0x7f.1/") == "bad-url"
            assert await code(f, "http://pub.org/to?file:///etc/passwd") == "bad-scheme"
            assert origin.counts["/good"] == 1

    asyncio.run(scene())


def test_a_name_with_a_public_and_a_private_address_uses_the_public_one(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        names = Names(both_org=[["10.9.9.9", "127.0.0.1", "192.168.0.1"]])
        async with faults() as origin, downloader(tmp_path, Guard(["127.0.0.0/8"]), names) as fetching:
            assert await code(fetching, origin.url("/good", "both.org")) == "ok"

    asyncio.run(scene())


def test_a_name_that_turns_private_is_refused_at_the_socket(tmp_path: pathlib.Path) -> None:
    """DNS rebinding: the second answer is checked as the first was, and the old connection is not needed for it."""

    async def scene() -> None:
        async with faults() as origin, faults(host="127.0.0.2") as victim:
            names = Names(evil_org=[["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2", "::1"]])
            async with downloader(tmp_path, Guard(["127.0.0.1/32"]), names) as fetching:
                assert await code(fetching, origin.url("/good", "evil.org")) == "ok"
                assert await code(fetching, victim.url("/good", "evil.org")) == "blocked-address"
                assert await code(fetching, f"http://evil.org:{victim.port + 1}/good") == "blocked-address"
            assert names.asked == 3
            assert victim.connections == 0

    asyncio.run(scene())


def test_connect_to_opens_its_target_for_its_own_urls_only(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        async with faults() as origin:
            rules = [f"a.org:80:127.0.0.1:{origin.port}", f"9.9.9.9:80:localhost:{origin.port}", f"[2606::1]:80::{1}"]
            async with downloader(tmp_path, connect_to=rules) as fetching:
                assert await code(fetching, "http://a.org/good?x=%2F%7E") == "ok"
                assert await code(fetching, "http://9.9.9.9/good") == "ok"
                assert b"GET /good?x=%2F%7E HTTP/1.1\r\nHost: a.org\r\n" in origin.requests[0]
                assert b"\r\nHost: 9.9.9.9\r\n" in origin.requests[1]
                # an idle connection to the very same place is there, and must not be lent
                assert await code(fetching, origin.url("/good")) == "blocked-address"
                assert await code(fetching, origin.url("/good", "localhost")) == "blocked-address"
            assert origin.counts["/good"] == 2

    asyncio.run(scene())


def test_a_blocked_address_says_how_to_open_it(tmp_path: pathlib.Path) -> None:
    async def scene() -> str:
        async with downloader(tmp_path, names=Names(in_org=[["10.0.0.8"]])) as fetching:
            with pytest.raises(BlockedAddress) as caught:
                await fetching.fetch("http://in.org/x.png")
        return caught.value.message

    message = asyncio.run(scene())
    assert "in.org has the address 10.0.0.8" in message
    assert "allow_networks" in message


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_proxy_is_allowed_and_its_targets_are_judged(tmp_path: pathlib.Path, proxied: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        names = Names(ok_org=[["8.8.8.8"]], mixed_org=[["8.8.8.8", "10.0.0.1"]], direct_org=[["127.0.0.1"]])
        async with faults() as origin:
            proxied.setenv("http_proxy", f"http://me:pass@127.0.0.1:{origin.port}")
            proxied.setenv("NO_PROXY", "direct.org")
            async with downloader(tmp_path, names=names) as fetching:
                assert await code(fetching, "http://ok.org/good") == "http-status"  # asked in absolute form: a 404 here
                assert origin.requests[0].startswith(b"GET http://ok.org/good HTTP/1.1\r\n")
                assert b"Proxy-Authorization: Basic bWU6cGFzcw==\r\n" in origin.requests[0]
                for host in ("mixed.org", "127.0.0.1", "[::1]", "localhost", "db", "x.internal", "direct.org"):
                    assert await code(fetching, f"http://{host}/good") == "blocked-address"
                assert await code(fetching, "http://known-to-the-proxy.org/") == "http-status"
            assert len(origin.requests) == 2

    asyncio.run(scene())


def test_a_proxy_of_an_unknown_kind_is_a_setting_to_mend(tmp_path: pathlib.Path, proxied: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with downloader(tmp_path):
            pass

    proxied.setenv("HTTPS_PROXY", "socks5://me:secret@127.0.0.1:1")
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        asyncio.run(scene())
    assert "secret" not in str(caught.value)


def test_a_certificate_path_that_leads_nowhere_is_a_setting_to_mend(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with downloader(tmp_path):
            pass

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
        asyncio.run(scene())


def test_a_fetched_file_is_what_the_allowed_network_sent(tmp_path: pathlib.Path) -> None:
    async def scene() -> None:
        async with faults() as origin, downloader(tmp_path, Guard(["127.0.0.0/8"])) as fetching:
            assert isinstance(await fetching.fetch(origin.url("/good")), Fetched)

    asyncio.run(scene())

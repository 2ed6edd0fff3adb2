"""Certificates are checked against the name in the URL, whatever address is connected."""

from __future__ import annotations

import asyncio
import datetime
import pathlib
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from imgcache.core import ConfigError, Fetched, TlsFailure
from imgcache.downloader import ConnectTo
from tests.support.faults import faults
from tests.support.network import downloader, outcome, tls_origin


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def trusted(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = tmp_path_factory.mktemp("roots") / "roots.pem"
    authority.cert_pem.write_to_path(str(roots))
    monkeypatch.setenv("SSL_CERT_FILE", str(roots))


@pytest.mark.parametrize(
    ("certified", "days", "expected"),
    [("pics.example.org", 1, None), ("other.example.org", 1, "not valid for"), ("pics.example.org", -1, "expired")],
)
def test_a_certificate_is_checked_against_the_name_in_the_url(
    tmp_path: pathlib.Path, authority: trustme.CA, certified: str, days: int, expected: str | None
) -> None:
    async def scene() -> None:
        async with tls_origin(authority, certified, days=days) as origin:
            rule = ConnectTo.parse(f"pics.example.org:443:127.0.0.1:{origin.port}")
            async with downloader(tmp_path, connect_to=[rule]) as fetching:
                if expected is None:
                    assert isinstance(await fetching.fetch("https://pics.example.org/good"), Fetched)
                    assert b"\r\nHost: pics.example.org\r\n" in origin.requests[0]
                    return
                with pytest.raises(TlsFailure, match=expected):
                    await fetching.fetch("https://pics.example.org/good")
                assert origin.requests == []

    asyncio.run(scene())


def test_connect_to_works_for_a_url_with_an_address(tmp_path: pathlib.Path, authority: trustme.CA) -> None:
    async def scene() -> None:
        async with tls_origin(authority, "9.9.9.9") as origin:
            rule = ConnectTo.parse(f"9.9.9.9::127.0.0.1:{origin.port}")
            async with downloader(tmp_path, connect_to=[rule]) as fetching:
                assert await outcome(fetching, "https://9.9.9.9/good") == "ok"

    asyncio.run(scene())


def test_an_unknown_authority_and_plain_http_are_tls_errors(tmp_path: pathlib.Path) -> None:
    async def talk_plainly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async def scene() -> None:
        async with (
            tls_origin(trustme.CA(), "127.0.0.1") as stranger,
            await asyncio.start_server(talk_plainly, "127.0.0.1", 0) as plain,
            downloader(tmp_path) as fetching,
        ):
            with pytest.raises(TlsFailure, match="certificate is not valid"):
                await fetching.fetch(stranger.url("/good", scheme="https"))
            port = plain.sockets[0].getsockname()[1]
            assert await outcome(fetching, f"https://127.0.0.1:{port}/good") == "tls"

    asyncio.run(scene())


def test_a_missing_certificate_path_is_a_config_error(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with downloader(tmp_path):
            pass

    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
        asyncio.run(scene())


Change = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]


class HandmadeCertificate:
    """A handmade certificate that trustme would not issue."""

    def __init__(self, folder: pathlib.Path, authority: trustme.CA) -> None:
        self._folder = folder
        self._root = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
        self._root_key = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)

    def pem(self, *, change: Change | None = None, issuer: str = "root", weak: bool = False, copies: int = 0) -> str:
        """The PEM file of key and chain; `issuer` is `root` or `self`, `copies` are further certificates behind it."""
        key = rsa.generate_private_key(65537, 1024) if weak else ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pics.example.org")])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=name if issuer == "self" else self._root.subject,
            subject_name=name,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(days=1),
            not_valid_after=now + datetime.timedelta(days=1),
        )
        builder = change(builder) if change else named("pics.example.org")(builder)
        signed = builder.sign(key if issuer == "self" else self._root_key, hashes.SHA256())  # type: ignore[arg-type]
        pem = signed.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self._folder / "odd.pem"
        file.write_bytes(private + pem + copies * self._root.public_bytes(serialization.Encoding.PEM))
        return str(file)


def named(*names: str) -> Change:
    return lambda builder: builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
    )


def _valid(start: int, end: int) -> Change:
    """Sets the validity from `start` to `end`, in days from now."""

    def change(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        dated = x509.CertificateBuilder(
            issuer_name=builder._issuer_name,
            subject_name=builder._subject_name,
            public_key=builder._public_key,
            serial_number=builder._serial_number,
            not_valid_before=now + datetime.timedelta(days=start),
            not_valid_after=now + datetime.timedelta(days=end),
        )
        return named("pics.example.org")(dated)

    return change


def _for_clients(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return named("pics.example.org")(builder).add_extension(usage, critical=True)


def _anonymous(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    """The name only in the subject, which does not count (RFC 9110, section 4.3.4)."""
    return builder


@pytest.mark.parametrize(
    "odd",
    [
        {"issuer": "self"},
        {"change": _valid(1, 9)},
        {"change": _valid(-9, -1)},
        {"change": _valid(-9, 9), "issuer": "self"},
        {"change": named("*.org")},
        {"change": named("*")},
        {"change": named("*.pics.example.org")},
        {"change": named("pics.example.org.evil.example")},
        {"change": named("evil.example", "127.0.0.1")},
        {"change": named(*(f"{number}.evil.example" for number in range(1000)))},
        {"change": _anonymous},
        {"change": _for_clients},
        {"weak": True},
        {"copies": 400},
    ],
    ids=[
        "self-signed",
        "not yet valid",
        "expired",
        "self-signed and expired soon",
        "wildcard of a top level",
        "wildcard of all",
        "wildcard below",
        "longer name",
        "other name and an address",
        "1,000 names",
        "name in the subject alone",
        "for clients",
        "weak key",
        "long chain",
    ],
)
def test_an_invalid_certificate_is_refused_without_a_retry(
    tmp_path: pathlib.Path, authority: trustme.CA, odd: dict[str, Any]
) -> None:
    pem = HandmadeCertificate(tmp_path, authority).pem(**odd)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.set_ciphers("DEFAULT@SECLEVEL=0")  # a weak key is the server's own affair
    server.load_cert_chain(pem)
    folder = tmp_path / "parts"
    folder.mkdir()

    async def scene() -> None:
        async with faults(server) as origin:
            rule = ConnectTo.parse(f"pics.example.org:443:127.0.0.1:{origin.port}")
            async with downloader(folder, connect_to=[rule], retries=3) as fetching:
                assert await outcome(fetching, "https://pics.example.org/good") == "tls"
                assert fetching.statistics.requests == 1
            assert origin.requests == []

    asyncio.run(scene())
    assert list(folder.iterdir()) == []


def test_a_valid_certificate_made_the_same_way_is_accepted(tmp_path: pathlib.Path, authority: trustme.CA) -> None:
    """Shows that the ones above are refused for the defect alone."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(HandmadeCertificate(tmp_path, authority).pem(change=named("*.example.org"), copies=3))
    folder = tmp_path / "parts"
    folder.mkdir()

    async def scene() -> None:
        async with faults(server) as origin:
            rule = ConnectTo.parse(f"pics.example.org:443:127.0.0.1:{origin.port}")
            async with downloader(folder, connect_to=[rule]) as fetching:
                assert await outcome(fetching, "https://pics.example.org/good") == "ok"

    asyncio.run(scene())

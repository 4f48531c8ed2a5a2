"""What TLS is made of: each part that cannot be used is named, and no secret shown."""

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from origin_adapter.tls import TlsFault, TlsOptions, client_context
from tests.support.certificates import Authority


@pytest.fixture
def good(tmp_path: Path) -> TlsOptions:
    """A private authority, and a certificate by it."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("edge.test")
    return TlsOptions(
        ca=authority.certificate.read_bytes(),
        certificate=certificate.read_bytes(),
        key=key.read_bytes(),
    )


def test_an_authority_of_ones_own_replaces_the_systems(good: TlsOptions) -> None:
    names = [one["subject"] for one in client_context(good).get_ca_certs()]

    assert names == [((("commonName", "authority.test"),),)]


def test_an_origin_cannot_begin_a_session_anew(good: TlsOptions) -> None:
    """While it did not end that, the socket had room, and the session took nothing."""
    for options in (good, TlsOptions()):
        assert client_context(options).options & ssl.OP_NO_RENEGOTIATION


def test_a_key_may_stand_beside_its_certificate(good: TlsOptions) -> None:
    both = (good.key or b"") + (good.certificate or b"")

    client_context(replace(good, certificate=both, key=None))


@pytest.mark.parametrize("octets", [b"", b"no PEM", b"\xff\x00", b"-----BEGIN"])
@pytest.mark.parametrize(
    ("part", "why"),
    [
        ("ca", "holds no certificate in PEM"),
        ("certificate", "holds no certificate in PEM"),
        ("key", "holds no private key in PEM"),
    ],
)
def test_what_is_no_pem_is_said_of_its_part(
    good: TlsOptions, part: str, why: str, octets: bytes
) -> None:
    with pytest.raises(TlsFault, match=why) as found:
        changes: dict[str, Any] = {part: octets}
        client_context(replace(good, **changes))
    assert found.value.part == part


def test_a_key_of_another_certificate_is_no_key(
    good: TlsOptions, tmp_path: Path
) -> None:
    _, other = Authority(tmp_path).issue("other.test")

    with pytest.raises(TlsFault, match="not the certificate's") as found:
        client_context(replace(good, key=other.read_bytes()))
    assert found.value.part == "key"


def test_an_encrypted_key_is_not_asked_for_at_a_terminal(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("edge.test", password=b"s3cret")
    options = TlsOptions(certificate=certificate.read_bytes(), key=key.read_bytes())

    with pytest.raises(TlsFault, match="is encrypted"):
        client_context(options)


def test_a_certificate_without_a_key_is_said_of_the_certificate(
    good: TlsOptions,
) -> None:
    with pytest.raises(TlsFault, match="no private key") as found:
        client_context(replace(good, key=None))
    assert found.value.part == "certificate"


def test_no_key_is_in_what_is_printed(good: TlsOptions) -> None:
    assert "PRIVATE KEY" not in repr(good)

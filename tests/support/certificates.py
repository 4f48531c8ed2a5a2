"""Certificates of the tests' own, made when they are needed and gone afterwards."""

import datetime
import ipaddress
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)


def self_signed(folder: Path, *names: str) -> Path:
    """A PEM file in ``folder``: a key and its own certificate, for names and
    addresses, good for a day. Browsers take no Ed25519 there."""
    key = _new_key()
    subject = _subject(names[0])
    made = _described(subject, subject, key.public_key())
    made = made.add_extension(x509.SubjectAlternativeName([*map(_name, names)]), False)
    file = folder / "certificate.pem"
    file.write_bytes(_secret(key) + _pem(made.sign(key, hashes.SHA256())))
    return file


class Authority:
    """A private authority: ``certificate`` is what its followers believe in."""

    def __init__(self, folder: Path, name: str = "authority.test") -> None:
        self._folder = folder
        self._key = _new_key()
        self._name = _subject(name)
        made = _described(self._name, self._name, self._key.public_key())
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        self.certificate = folder / f"{name}.pem"
        self.certificate.write_bytes(_pem(made.sign(self._key, hashes.SHA256())))

    def issue(self, *names: str, password: bytes = b"") -> tuple[Path, Path]:
        """A certificate for these names, and its key, in files."""
        key = _new_key()
        made = _described(_subject(names[0]), self._name, key.public_key())
        alternatives = x509.SubjectAlternativeName([*map(_name, names)])
        made = made.add_extension(alternatives, False)
        certificate = self._folder / f"{names[0]}.crt"
        certificate.write_bytes(_pem(made.sign(self._key, hashes.SHA256())))
        secret = self._folder / f"{names[0]}.key"
        secret.write_bytes(_secret(key, password))
        return certificate, secret


def _new_key() -> EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1())


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _described(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    """A certificate that is not signed yet, good for a day."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _secret(key: EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    form, clear = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    locked = serialization.BestAvailableEncryption(password) if password else clear
    return key.private_bytes(serialization.Encoding.PEM, form, locked)


def key_digest(file: Path) -> str:
    """By what Chromium is told to trust the key of such a file."""
    [certificate] = x509.load_pem_x509_certificates(file.read_bytes())
    octets = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return b64encode(sha256(octets).digest()).decode()


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)

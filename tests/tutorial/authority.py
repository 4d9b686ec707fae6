"""A certificate authority for one run: it stands for the one that the world trusts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Authority:
    """Its certificate is the file `certificate`; what it issued for a host is in `host_certificate`."""

    def __init__(self, folder: Path, host: str) -> None:
        folder.mkdir()
        self.certificate = folder / "authority.pem"
        self.host_certificate = folder / "host.pem"
        self.host_key = folder / "host.key"
        key = ec.generate_private_key(ec.SECP256R1())
        host_key = ec.generate_private_key(ec.SECP256R1())
        name = _name("An authority for tests")
        begun = _about(name, name, key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        issuer = begun.add_extension(usage, critical=True).sign(key, SHA256())
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        issued = _about(_name(host), name, host_key).add_extension(names, critical=False)
        self.certificate.write_bytes(issuer.public_bytes(Encoding.PEM))
        self.host_certificate.write_bytes(issued.sign(key, SHA256()).public_bytes(Encoding.PEM))
        self.host_key.touch(mode=0o600)
        self.host_key.write_bytes(
            host_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _about(subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )

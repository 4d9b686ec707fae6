"""Whom the relay trusts when it fetches: the system's certificate authorities, or those of a file instead."""

from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.web.client import BrowserLikePolicyForHTTPS, HostnameCachingHTTPSPolicy
from twisted.web.iweb import IPolicyForHTTPS

from mcptunnel.errors import McpTunnelError

_MAX_FILE_BYTES: Final = 4 * 1024 * 1024
_HOSTS: Final = 64
"""To read the system's certificates takes milliseconds, so that they are kept for so many hosts."""


class CaFileError(McpTunnelError):
    """A file that no certificate authorities can be read from."""


def tls_policy(ca_file: Path | None = None) -> IPolicyForHTTPS:
    """Return the policy for https: certificates are always checked, and the host's name in them.

    `ca_file` holds PEM certificates of the only authorities then; without it the system's count (and
    SSL_CERT_FILE, which OpenSSL knows). Raises CaFileError.
    """
    trusted = None if ca_file is None else _read(ca_file)
    inner: Any = BrowserLikePolicyForHTTPS(trustRoot=trusted)
    policy: IPolicyForHTTPS = HostnameCachingHTTPSPolicy(inner, cacheSize=_HOSTS)
    return policy


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise CaFileError(f"{path} is too large for a file of certificates")
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise CaFileError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError:
        raise CaFileError(f"{path} has no certificates in PEM format") from None
    load: Any = Certificate.loadPEM
    return trustRootFromCertificates([load(one.public_bytes(Encoding.PEM)) for one in certificates])

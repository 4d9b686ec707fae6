"""Files of certificate authorities. That they are obeyed is shown by tests/net/test_http.py."""

from pathlib import Path

import pytest

from mcptunnel.net.trust import CaFileError, tls_policy
from tests.net.loopback import Authority
from tests.net.web_servers import ca_file


def test_hosts_are_remembered(authority: Authority, tmp_path: Path) -> None:
    """The same host has the same options: reading the authorities again would take its time."""
    policy = tls_policy(ca_file(authority, tmp_path))
    first = policy.creatorForNetloc(b"a.example", 443)
    assert policy.creatorForNetloc(b"a.example", 443) is first
    assert policy.creatorForNetloc(b"b.example", 443) is not first


@pytest.mark.parametrize("text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAA\n"])
def test_a_file_without_certificates(tmp_path: Path, text: str) -> None:
    """The error names the file."""
    path = tmp_path / "ca.pem"
    path.write_text(text)
    with pytest.raises(CaFileError, match=r"ca\.pem has no certificates"):
        tls_policy(path)


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path) -> None:
    """Neither is read."""
    with pytest.raises(CaFileError, match="cannot be read: No such file"):
        tls_policy(tmp_path / "none.pem")
    with (tmp_path / "large.pem").open("wb") as file:
        file.truncate(5_000_000)
    with pytest.raises(CaFileError, match="too large"):
        tls_policy(tmp_path / "large.pem")

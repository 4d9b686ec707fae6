"""The rules of a relay's configuration."""

from pathlib import Path

from mcptunnel.config.relay import RelayConfig


def test_the_defaults_of_the_sections() -> None:
    config = RelayConfig(public_url="https://a.b", state_dir=Path("/x"))
    assert config.listen == "tcp:8787:interface=127.0.0.1"
    assert config.auth.mode == "keys"
    assert config.limits.max_request_bytes == 4 * 1024 * 1024
    assert config.limits.max_result_bytes == 16 * 1024 * 1024
    assert (config.tunnel.ping_after_s, config.tunnel.dead_after_s) == (20.0, 45.0)
    assert hash(config)


def test_plain_http_needs_a_word() -> None:
    (complaint,) = RelayConfig.rules({"public_url": "http://a.b", "insecure": False})
    assert complaint.key == "public_url"
    for url, insecure in (("http://a.b", True), ("https://a.b", False), ("http://[::1]:1", False)):
        assert not list(RelayConfig.rules({"public_url": url, "insecure": insecure}))

"""The heartbeat's two times fit together."""

from mcptunnel.config.tunnel import TunnelConfig


def test_dead_comes_after_ping() -> None:
    assert not list(TunnelConfig.rules({"ping_after_s": 20.0, "dead_after_s": 45.0}))
    (complaint,) = TunnelConfig.rules({"ping_after_s": 20.0, "dead_after_s": 20.0})
    assert complaint.key == "dead_after_s"


def test_a_value_that_could_not_be_read_is_no_contradiction() -> None:
    assert not list(TunnelConfig.rules({"dead_after_s": 3.0}))


def test_the_defaults_are_well() -> None:
    config = TunnelConfig()
    assert config.dead_after_s > config.ping_after_s
    assert config.window_bytes == 262144

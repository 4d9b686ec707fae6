"""Who asks: clients, and their sessions."""

from mcptunnel.mcp.service import client_of_session


def test_a_session_is_nobody_elses() -> None:
    """Neither its client without one, nor another client, nor another session is called so."""
    names = {client_of_session(client, session) for client in ("a", "b") for session in ("1", "2")}
    assert len(names) == 4
    assert not names & {"a", "b"}

"""Where nobody has to prove who they are, everything is one user's."""

import pytest

from mcptunnel.relay.web.open_gate import EVERYBODYS, OWNER, OpenGate
from tests.relay.web.site import HOST, MemorySite, head_of


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer mcpt_ak_whatever"}])
def test_everybody_is_the_owner(headers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.relay.web.site.BearerGate", lambda _c, in_use, *_: OpenGate(in_use))
    site = MemorySite()
    assert site.ask("POST", "/tunnel", headers).status == 426
    assert site.upgrades == [EVERYBODYS]
    assert EVERYBODYS.principal == OWNER
    assert site.ask("POST", "/mcp", headers).status not in (401, 403)
    assert len(site.joined.in_use) == 0


def test_threat_25_pages_of_other_origins_and_other_names_are_kept_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page in the browser of this machine is no program of this machine."""
    monkeypatch.setattr("tests.relay.web.site.BearerGate", lambda _c, in_use, *_: OpenGate(in_use))
    site = MemorySite()
    assert site.ask("POST", "/mcp", {"origin": "https://evil.example"}).status == 403
    connection = site.connection()
    connection.send(head_of("POST", "/mcp", {"host": "evil.example"}))
    assert connection.answer.status == 421
    assert HOST != "evil.example"

"""The authorization server's parts share what they are made from."""

from mcptunnel.relay.oauth.server import AuthorizationServer
from tests.relay.coroutines import now
from tests.relay.oauth.parts import APP, Parts, code_form, form


def test_what_one_part_gives_the_others_know(parts: Parts) -> None:
    server = AuthorizationServer(parts.around)
    client = now(server.clients.client(form(client_id=APP.id), None, "192.0.2.1"))
    given = now(server.tokens.answer(code_form(parts.code().text), client, "a"))
    token = str(given["access_token"])
    assert now(server.bearer.find(token)) is not None
    now(server.giving_back.take(form(token=token), client, "a"))
    assert now(server.bearer.find(token)) is None
    assert server.settings is parts.around.settings

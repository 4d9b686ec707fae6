"""Two hundred clients of fifty users at once, with the same ids, tokens and names: nothing crosses over.

Every message that a client is sent is looked at (`client.Client`): it may name its own user and itself,
and nobody else. The servers put their owner's name, and the caller's word, into all that they say.
"""

from tests.isolation.client import Client
from tests.isolation.crowd import ASKING_USERS, Crowd

ROUNDS = 4
PROGRESS_STEPS = 3


def _text(message: dict[str, object]) -> str:
    result = message["result"]
    assert isinstance(result, dict), message
    return "".join(part["text"] for part in result["content"])


def _check(client: Client, tool: str) -> None:
    word = client.word()
    answer = client.call(tool, word)
    assert _text(answer) == f"{client.user} {word}", answer


def _check_answered(client: Client, tool: str) -> None:
    word = client.word()
    answer = client.call(tool, word)
    assert f"{client.user} {word}: " in _text(answer), answer
    assert f"answer to {word}" in _text(answer), answer


def _work(client: Client) -> None:
    """Do a bit of everything, again and again; lists with all their pages."""
    is_transparent = client.path != "/mcp"
    own, web = ("", "") if is_transparent else ("own__", "web__")
    for _ in range(ROUNDS):
        for tool in ("whoami", "count", "log"):
            _check(client, own + tool)
        _check_answered(client, web + "ask")
        if is_transparent:
            continue
        _check(client, web + "whoami")
        _check(client, own + "touch")
        client.call(own + "ask", client.word())  # may be refused, as others call the same process
        if int(client.user[-2:]) < ASKING_USERS:
            _check_answered(client, "mine__ask")
        contents = client.request("resources/read", {"uri": "own://secret"})["result"]["contents"]
        assert [part["text"] for part in contents] == [f"secret of {client.user}"]
        prompt = client.request("prompts/get", {"name": own + "hello"})["result"]["messages"]
        assert prompt[0]["content"]["text"] == f"hello, {client.user}"
        client.tools()


def test_nothing_crosses_over(everybody: Crowd) -> None:
    """No answer, question, progress, log, news or list of one user is sent to another, or to a neighbour."""
    everybody.everyone(_work, everybody.clients)
    assert [found for client in everybody.clients for found in client.foreign] == []


def test_everybody_was_told_their_own(everybody: Crowd) -> None:
    """What is looked for does come: progress of each call, questions, news of the own board."""
    for person in everybody.people:
        for client in person.clients:
            assert client.seen["notifications/progress"] == ROUNDS * PROGRESS_STEPS, client.name
            assert client.seen["asked"] >= ROUNDS, client.name
            assert client.seen["notifications/resources/updated"] >= 1, client.name

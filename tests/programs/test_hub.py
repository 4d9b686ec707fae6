"""Prompts, resources, templates, completion and questions of real servers through the hub."""

import pytest

from tests.programs.client import Client, Json
from tests.programs.conftest import Stage
from tests.programs.programs import Estate
from tests.programs.shelf_server import APPS, ITEM, PAGE, TEMPLATE, command

CAPABILITIES: Json = {"_meta": {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}}


@pytest.fixture(scope="module")
def client(stage: Stage) -> Client:
    """A user with one server of each era, which offer the same."""
    servers = {"new": command("new"), "old": command("old", "--legacy")}
    key = stage.relay.key("shelly", "agent")
    stage.estate.agent(stage.relay, key, servers=servers).start()
    client = Client(stage.relay.port, stage.relay.key("shelly", "mcp"))
    shelves = {f"{name}__{tool}" for name in servers for tool in ("ask", "show")}
    assert client.tools().keys() == {"restart", "status", *shelves}
    return client


def test_what_the_hub_can_do(client: Client) -> None:
    told = client.request("server/discover").result
    assert told["capabilities"].keys() == {"tools", "prompts", "resources", "completions"}
    assert "## new\n\nBooks are read here." in told["instructions"]
    assert "## old\n\nBooks are read here." in told["instructions"]


def test_prompts_of_both(client: Client) -> None:
    listed = client.request("prompts/list").result["prompts"]
    assert [prompt["name"] for prompt in listed] == ["new__review", "old__review"]
    for name in ("new", "old"):
        found = client.request("prompts/get", {"name": f"{name}__review"}).result
        assert found["messages"][0]["content"]["text"] == f"{name} review"
    unknown = client.request("prompts/get", {"name": "review"})
    assert (unknown.status, unknown.error["code"]) == (400, -32602)


def read(client: Client, uri: str) -> str:
    (content,) = client.request("resources/read", {"uri": uri}).result["contents"]
    assert content["uri"] == uri
    text: str = content["text"]
    return text


def test_resources_of_both_though_they_have_one_uri(client: Client) -> None:
    listed = client.request("resources/list").result["resources"]
    first, second = (resource["uri"] for resource in listed)
    assert first == ITEM
    assert [read(client, first), read(client, second)] == [f"new {ITEM}", f"old {ITEM}"]
    listed = client.request("resources/templates/list").result["resourceTemplates"]
    first, second = (template["uriTemplate"].replace("{number}", "7") for template in listed)
    assert read(client, first) == "new shelf:page/7"
    assert read(client, second) == "old shelf:page/7"
    unknown = client.request("resources/read", {"uri": "nowhere:1"})
    assert (unknown.status, unknown.error["code"]) == (400, -32602)


def test_tools_with_pages_of_both_though_they_have_one_uri(client: Client) -> None:
    """Servers list them to those alone who declare that they show pages; with a page goes what it needs."""
    tools = client.tools()
    for name in ("new", "old"):
        about = tools[f"{name}__show"]["_meta"]["ui"]
        assert about["visibility"] == ["model", "app"]
        assert about["resourceUri"].startswith("ui://")
        (page,) = client.request("resources/read", {"uri": about["resourceUri"]}).result["contents"]
        assert (page["uri"], page["text"]) == (about["resourceUri"], f"{name} {PAGE}")
        assert page["_meta"] == {"ui": {"prefersBorder": True}}


def test_a_modern_server_hears_whether_its_client_shows_pages(client: Client) -> None:
    call: Json = {"name": "new__show", "arguments": {}}
    able = {"extensions": {APPS: {"mimeTypes": ["text/html;profile=mcp-app"]}, "x/y": {}}}
    for declared, told in ((able, f"new ['{APPS}']"), ({}, "new []")):
        about = {"io.modelcontextprotocol/clientCapabilities": declared}
        done = client.request("tools/call", {**call, "_meta": about})
        assert done.text == told


def test_completion_for_a_template_of_each(client: Client) -> None:
    listed = client.request("resources/templates/list").result["resourceTemplates"]
    for name, template in zip(("new", "old"), listed, strict=True):
        ref = {"type": "ref/resource", "uri": template["uriTemplate"]}
        params: Json = {"ref": ref, "argument": {"name": "number", "value": ""}}
        found = client.request("completion/complete", params).result
        assert found["completion"]["values"] == [f"{name} {TEMPLATE}"]


def test_a_question_goes_to_the_client_and_its_answer_to_the_server(client: Client) -> None:
    call: Json = {"name": "new__ask", "arguments": {}, **CAPABILITIES}
    asked = client.request("tools/call", call).result
    assert asked["resultType"] == "input_required"
    assert asked["inputRequests"]["which"]["params"]["message"] == "[new] Which one?"
    state = asked["requestState"]
    given = {"which": {"action": "accept", "content": {"title": "Emma"}}}
    broken = client.request("tools/call", {**call, "inputResponses": given, "requestState": "new"})
    assert (broken.status, broken.error["code"]) == (400, -32602)
    done = client.request("tools/call", {**call, "inputResponses": given, "requestState": state})
    text, link = done.result["content"]
    assert text["text"] == "new Emma"
    assert read(client, link["uri"]) == "new shelf:found/Emma"


def test_names_uris_and_states_survive_a_restart_of_the_relay(estate: Estate) -> None:
    relay = estate.relay().start()
    key, client = relay.key("alice", "agent"), Client(relay.port, relay.key("alice", "mcp"))
    for name in ("laptop", "tower"):
        servers = {"shelf": command(name)}
        estate.agent(relay, key, name=name, servers=servers).start()
        client.request("prompts/list")
    first, second = (r["uri"] for r in client.request("resources/list").result["resources"])
    call: Json = {"name": "tower__shelf__ask", "arguments": {}, **CAPABILITIES}
    assert "tower__shelf__ask" in client.tools()
    state = client.request("tools/call", call).result["requestState"]
    starts = [len(agent.program.log) for agent in estate.agents]
    relay.program.stop()
    relay.start()
    for agent, start in zip(estate.agents, starts, strict=True):
        agent.program.wait_for("connected to", start=start)
    for name, word in (("shelf__review", "laptop"), ("tower__shelf__review", "tower")):
        found = client.request("prompts/get", {"name": name}).result
        assert found["messages"][0]["content"]["text"] == f"{word} review"
    assert [read(client, uri) for uri in (first, second)] == [f"laptop {ITEM}", f"tower {ITEM}"]
    given = {"which": {"action": "accept", "content": {"title": "Emma"}}}
    done = client.request("tools/call", {**call, "inputResponses": given, "requestState": state})
    assert done.result["content"][0]["text"] == "tower Emma"
    assert (relay.state_dir / "secret").stat().st_mode & 0o777 == 0o600

"""Links: every one of them mapped, and nothing else touched."""

import json
from typing import Any

import pytest
from msgspec import Raw

from mcptunnel.mcp import jsonrpc, links
from mcptunnel.mcp.jsonrpc import Members

LINK = {"type": "resource_link", "uri": "x:1", "name": "one", "vendor": {"uri": "x:1"}}
EMBEDDED = {"type": "resource", "resource": {"uri": "x:1", "text": "x:1"}, "annotations": {}}
TEXT = {"type": "text", "text": 'see "resource" x:1'}


def mapping(uri: str) -> str:
    return uri.replace("x:", "y:")


def encoded(value: dict[str, Any]) -> Members:
    return jsonrpc.members(json.dumps(value).encode())


def decoded(members: Members) -> Any:
    return jsonrpc.decode(jsonrpc.raw(members))


def shown(value: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(value))
    (changed if value["type"] == "resource_link" else changed["resource"])["uri"] = "y:1"
    return changed


def test_links_and_embedded_resources_in_results() -> None:
    result = encoded({"content": [TEXT, LINK, EMBEDDED], "isError": False})
    assert links.map_content(result, mapping)
    assert decoded(result) == {"content": [TEXT, shown(LINK), shown(EMBEDDED)], "isError": False}


def test_in_messages_of_prompts() -> None:
    """Content of a message is one block, or a list of them."""
    messages = [
        {"role": "user", "content": EMBEDDED},
        {"role": "user", "content": TEXT},
        {"role": "assistant", "content": [LINK]},
    ]
    result = encoded({"messages": messages})
    assert links.map_messages(result, mapping)
    assert [one["content"] for one in decoded(result)["messages"]] == [
        shown(EMBEDDED),
        TEXT,
        [shown(LINK)],
    ]


def test_in_what_was_read() -> None:
    result = encoded({"contents": [{"uri": "x:1", "blob": "AAAA"}, {"uri": "z:1", "text": ""}]})
    assert links.map_contents(result, mapping)
    assert [one["uri"] for one in decoded(result)["contents"]] == ["y:1", "z:1"]


@pytest.mark.parametrize(
    ("change", "value"),
    [
        (links.map_content, {"content": [TEXT, {"type": "resource_link", "uri": "z:1"}]}),
        (links.map_content, {"content": [{"type": "image", "data": "x:1"}]}),
        (links.map_content, {"content": "resource"}),
        (links.map_content, {"content": [{"type": "resource"}, {"type": "resource_link"}]}),
        (links.map_content, {"content": ['"resource', 1, None]}),
        (links.map_content, {"content": None}),
        (links.map_content, {}),
        (links.map_messages, {"messages": [{"content": TEXT}]}),
        (links.map_messages, {"messages": [1, '"resource']}),
        (links.map_messages, {}),
        (links.map_contents, {"contents": [{"uri": 1}]}),
        (links.map_contents, {"contents": {"uri": "x:1"}}),
        (links.map_contents, {}),
    ],
)
def test_what_holds_nothing_to_map_stays_as_it_is(change: Any, value: dict[str, Any]) -> None:
    result = encoded(value)
    before = {name: bytes(raw) for name, raw in result.items()}
    assert not change(result, mapping)
    assert {name: bytes(raw) for name, raw in result.items()} == before


LINKS = [{**LINK, "uri": f"x:{number}"} for number in range(links.MAX_LINKS + 1)]
RESULTS: dict[Any, Any] = {
    links.map_content: lambda found: {"content": found},
    links.map_contents: lambda found: {"contents": found},
    links.map_messages: lambda found: {"messages": [{"content": one} for one in found]},
}


@pytest.mark.parametrize("change", RESULTS)
def test_no_more_links_are_mapped_than_the_bound(change: Any) -> None:
    """With one more the result is refused; and the mapping was not asked for more, either."""
    asked: list[str] = []

    def noted(uri: str) -> str:
        asked.append(uri)
        return mapping(uri)

    assert change(encoded(RESULTS[change](LINKS[:-1])), noted)
    assert len(asked) == links.MAX_LINKS
    asked.clear()
    with pytest.raises(links.TooManyLinks, match="more than 2000 resources"):
        change(encoded(RESULTS[change](LINKS)), noted)
    assert len(asked) == links.MAX_LINKS


@pytest.mark.parametrize("change", RESULTS)
def test_no_more_parts_are_looked_at_than_the_bound(change: Any) -> None:
    parts = [LINK, *({"type": "text"} for _ in range(links.MAX_PARTS))]
    assert change(encoded(RESULTS[change](parts[:-1])), mapping)
    with pytest.raises(links.TooManyLinks, match="more than 10000 parts"):
        change(encoded(RESULTS[change](parts)), mapping)


def test_content_that_is_only_passed_on_is_never_taken_apart() -> None:
    """It is the same text afterwards, down to the way it is written."""
    blob = b'{"uri":"x:1", "blob" : "\\u0041AAA"}'
    result = jsonrpc.members(b'{"contents": [%b, {"uri":"z:1" , "text":"\\u0041"}]}' % blob)
    assert links.map_contents(result, mapping)
    assert b'"blob":"\\u0041AAA"' in bytes(result["contents"])
    assert b'{"uri":"z:1" , "text":"\\u0041"}' in bytes(result["contents"])


def test_pages_of_apps_in_both_places() -> None:
    about = {"ui": {"resourceUri": "x:1", "visibility": ["app"]}, "ui/resourceUri": "x:1", "v": 1}
    tool = Raw(json.dumps({"name": "t", "_meta": about}).encode())
    assert jsonrpc.decode(links.map_ui(tool, mapping)) == {
        "name": "t",
        "_meta": {
            "ui": {"resourceUri": "y:1", "visibility": ["app"]},
            "ui/resourceUri": "y:1",
            "v": 1,
        },
    }


@pytest.mark.parametrize(
    "about", [b"{}", b"1", b'{"ui":1}', b'{"ui":{"resourceUri":1}}', b'{"ui/resourceUri":"z:1"}']
)
def test_a_tool_without_a_page_stays_as_it_is(about: bytes) -> None:
    tool = Raw(b'{ "name":"t", "x":"resourceUri", "_meta":%b}' % about)
    assert links.map_ui(tool, mapping) is tool

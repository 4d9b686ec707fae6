"""What a server can have beside tools: how a client shows it, and how that is seen in the record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.interop.drivers import Endpoint, Record, Step, call, settle

WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Show:
    """A feature of a server, the steps that show it, and a text that must then be seen.

    `text` is the name or URI of something that is listed, a part of a result, or, for `subscribe`,
    the resource. `older` are the steps of a client that speaks the older era, where they differ:
    with the tunnel or without it the server is spoken to in the client's.
    """

    feature: str
    text: str
    steps: tuple[Step, ...]
    older: tuple[Step, ...] = ()


def listed(what: str, name: str) -> Show:
    """Something is in a list: `what` is `prompts`, `resources` or `templates`."""
    return Show(what, name, ({"do": "list", "what": what},))


def got(name: str, text: str, **arguments: str) -> Show:
    """A prompt."""
    return Show("get", text, ({"do": "get", "name": name, "arguments": arguments},))


def read(uri: str, text: str, *, template: str = "") -> Show:
    """A resource, one that is listed or one of a template."""
    feature = "read-template" if template else "read"
    return Show(feature, text, ({"do": "read", "uri": uri, "template": template},))


def completed(
    ref: Mapping[str, str], argument: str, value: str, found: str, **context: str
) -> Show:
    """A value of an argument of a prompt or a template."""
    step: Step = {
        "do": "complete",
        "ref": ref,
        "argument": {"name": argument, "value": value},
        **({"context": context} if context else {}),
    }
    return Show("complete", found, (step,))


def asking(feature: str, text: str, step: Step, *, older: Step | None = None) -> Show:
    """A tool that asks: `feature` is `elicit`, `sample` or `roots`; the result shows the answer."""
    return Show(feature, text, (step,), (older,) if older else ())


def subscribed(uri: str, *steps: Step) -> Show:
    """A resource that changes: the first step makes it change, the others come after the news."""
    subscribe: Step = {"do": "subscribe", "uri": uri}
    first, *after = steps
    return Show("subscribe", uri, (subscribe, settle(), first, wait("updated"), *after))


def changed(name: str) -> Show:
    """A tool that says that the list of tools changed."""
    return Show("changed", "tools", ({"do": "listen"}, settle(), call(name), wait("changed tools")))


def logged(step: Step, text: str) -> Show:
    """A tool that logs."""
    return Show("log", text, ({"do": "level", "level": "info"}, step, wait("log")))


def wait(event: str) -> Step:
    """Make a step that waits for an event."""
    return {"do": "wait", "for": event, "timeout_s": WAIT_S}


_QUESTIONS = {
    "elicit": "elicitation/create",
    "sample": "sampling/createMessage",
    "roots": "roots/list",
}


def _check_prompts(show: Show, record: Record, first: int, endpoint: Endpoint) -> None:
    names = [prompt["name"] for prompt in record.listed(first, "prompts")]
    assert endpoint.prefix + show.text in names


def _check_resources(show: Show, record: Record, first: int, endpoint: Endpoint) -> None:
    uris = [resource["uri"] for resource in record.listed(first, "resources")]
    assert endpoint.uri(show.text) in uris


def _check_templates(show: Show, record: Record, first: int, endpoint: Endpoint) -> None:
    uris = [template["uriTemplate"] for template in record.listed(first, "templates")]
    assert endpoint.uri(show.text) in uris


def _check_get(show: Show, record: Record, first: int, _: Endpoint) -> None:
    messages = record.result(first)["messages"]
    assert any(show.text in message["content"].get("text", "") for message in messages), messages


def _check_read(show: Show, record: Record, first: int, endpoint: Endpoint) -> None:
    step = show.steps[0]
    contents = record.result(first)["contents"]
    assert [part["uri"] for part in contents] == [endpoint.uri(step["uri"], step["template"])]
    assert show.text in contents[0]["text"]


def _check_complete(show: Show, record: Record, first: int, _: Endpoint) -> None:
    assert record.result(first)["completion"]["values"] == [show.text]


def _check_asking(show: Show, record: Record, first: int, _: Endpoint) -> None:
    methods = [event.fields["method"] for event in record.of(first, "asked")]
    assert _QUESTIONS[show.feature] in methods, record.last(first)
    assert not record.result(first).get("isError")
    assert show.text in record.text(first)


def _check_subscribe(show: Show, record: Record, first: int, endpoint: Endpoint) -> None:
    _no_errors(record, first, len(show.steps))
    uris = [event.fields["uri"] for event in record.all("updated")]
    assert endpoint.uri(show.text) in uris


def _check_changed(show: Show, record: Record, first: int, _: Endpoint) -> None:
    _no_errors(record, first, len(show.steps))
    assert show.text in [event.fields["what"] for event in record.all("changed")]


def _check_log(show: Show, record: Record, first: int, _: Endpoint) -> None:
    _no_errors(record, first, len(show.steps))
    texts = [str(event.fields["data"]) for event in record.all("log")]
    assert any(show.text in text for text in texts), texts


def _no_errors(record: Record, first: int, count: int) -> None:
    for step in range(first, first + count):
        assert not record.of(step, "error")
        for event in record.of(step, "result"):
            assert not event.fields["result"].get("isError"), event


Check = Callable[[Show, Record, int, Endpoint], None]

CHECKS: Final[Mapping[str, Check]] = {
    "prompts": _check_prompts,
    "resources": _check_resources,
    "templates": _check_templates,
    "get": _check_get,
    "read": _check_read,
    "read-template": _check_read,
    "complete": _check_complete,
    "elicit": _check_asking,
    "sample": _check_asking,
    "roots": _check_asking,
    "subscribe": _check_subscribe,
    "changed": _check_changed,
    "log": _check_log,
}
"""Every feature, and what shows that it works."""


def prompt_ref(name: str) -> dict[str, Any]:
    """Refer to a prompt."""
    return {"type": "ref/prompt", "name": name}

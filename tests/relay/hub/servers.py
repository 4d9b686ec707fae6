"""Local servers that offer more than tools."""

from typing import Any

from mcptunnel.mcp.jsonrpc import INVALID_PARAMS, JsonRpcError
from mcptunnel.testing.local_server import MemoryServer


def asked(server: MemoryServer, method: str) -> int:
    """Return how often a server was asked by a method."""
    return sum(request.method == method for request in server.requests)


def with_prompts(
    name: str = "files", *prompts: str, prefix: str | None = None, **tools: Any
) -> MemoryServer:
    """Return a server with prompts that say whose they are."""
    server = MemoryServer(name, tools, prefix=prefix)
    names = prompts or ("review",)
    server.offer_list("prompts/list", "prompts", *({"name": prompt} for prompt in names))

    def get(params: Any) -> dict[str, Any]:
        if params["name"] not in names:
            raise JsonRpcError(INVALID_PARAMS, f"Unknown prompt: {params['name']}")
        text = {"type": "text", "text": f"{name} {params['name']}"}
        return {"resultType": "complete", "messages": [{"role": "user", "content": text}]}

    server.answers["prompts/get"] = get
    return server


def with_resources(
    name: str = "files", *uris: str, templates: tuple[str, ...] = ()
) -> MemoryServer:
    """Return a server with resources that say who was asked for what."""
    server = MemoryServer(name)
    listed = ({"uri": uri, "name": uri[-1:]} for uri in uris)
    server.offer_list("resources/list", "resources", *listed)
    made = ({"uriTemplate": template, "name": "t"} for template in templates)
    server.offer_list("resources/templates/list", "resourceTemplates", *made)

    def read(params: Any) -> dict[str, Any]:
        content = {"uri": params["uri"], "text": f"{name} {params['uri']}"}
        return {"resultType": "complete", "contents": [content]}

    server.answers["resources/read"] = read
    return server

"""What servers offer in lists: tools, prompts, resources, resource templates."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """A kind of thing that servers list. The values are kept in stores: they never change."""

    TOOL = "tool"
    PROMPT = "prompt"
    RESOURCE = "resource"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class Listed:
    """How a kind is listed: by which method, under which member, and what identifies one of it.

    `capability` is the member of a server's capabilities that says that it has them.
    """

    method: str
    member: str
    key: str
    capability: str
    max_key_chars: int


MAX_NAME_CHARS: Final = 256
"""A longer name is unusable: names are remembered, even of things that are gone."""

MAX_URI_CHARS: Final = 2048

LISTED: Final = {
    Kind.TOOL: Listed("tools/list", "tools", "name", "tools", MAX_NAME_CHARS),
    Kind.PROMPT: Listed("prompts/list", "prompts", "name", "prompts", MAX_NAME_CHARS),
    Kind.RESOURCE: Listed("resources/list", "resources", "uri", "resources", MAX_URI_CHARS),
    Kind.TEMPLATE: Listed(
        "resources/templates/list", "resourceTemplates", "uriTemplate", "resources", MAX_URI_CHARS
    ),
}

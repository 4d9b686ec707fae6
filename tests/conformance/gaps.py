"""What the suite cannot see through a route, because the server itself has not got it there, and why."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from tests.conformance.suite import Results


@dataclass(frozen=True, slots=True)
class Gap:
    """A reason, and what the suite says of every check that fails for it (a regular expression)."""

    reason: str
    said: str

    def explains(self, failures: tuple[str, ...]) -> bool:
        """Say whether all of these checks failed for this reason."""
        return all(re.search(self.said, failure) for failure in failures)


Gaps: TypeAlias = Mapping[str, Gap]
"""By scenario."""

NOT_THERE: Final = Gap(
    "the server of the 1.x SDK has no such tool or prompt",
    "Unknown (tool|prompt)|Tool '.*' not found|Not testable: server does not list"
    "|no tool with x-mcp-header|[Ee]xpected InputRequiredResult|Prerequisite failed"
    '|Expected resultType "input_required"|Server executed .test_missing_capability.',
)
NO_HEADERS: Final = Gap(
    "the hub takes x-mcp-header annotations out of schemas, so there are no such headers to check",
    "no tool with x-mcp-header",
)
ASKS_IN_OLDER_ERA_ONLY: Final = Gap(
    "the server's tool asks with a request of its own, which it can in the older era alone; "
    "who speaks to it in the newer one is told that asking is not supported",
    "Server did not request",
)

QUESTIONS: Final[Gaps] = {
    "tools-call-elicitation": ASKS_IN_OLDER_ERA_ONLY,
    "tools-call-sampling": ASKS_IN_OLDER_ERA_ONLY,
    "elicitation-sep1034-defaults": ASKS_IN_OLDER_ERA_ONLY,
    "elicitation-sep1330-enums": ASKS_IN_OLDER_ERA_ONLY,
}
"""Of a server that has not got the older era: what asks in that era cannot ask at all."""

_HUB: Final[Gaps] = {"http-custom-header-server-validation": NO_HEADERS}

_OLD_SERVER: Final[Gaps] = {
    "json-schema-2020-12": NOT_THERE,
}
_OLD_SERVER_NEW_CLIENT: Final[Gaps] = {
    **_OLD_SERVER,
    "http-custom-header-server-validation": NOT_THERE,
    "server-stateless": NOT_THERE,
    **{
        f"input-required-result-{name}": NOT_THERE
        for name in (
            "basic-elicitation",
            "basic-list-roots",
            "basic-sampling",
            "capability-check",
            "multi-round",
            "multiple-input-requests",
            "non-tool-request",
            "request-state",
            "result-type",
            "tampered-state",
        )
    },
}

GAPS: Final[Mapping[tuple[str, str, str], Gaps]] = {
    ("http", "hub", "2026-07-28"): _HUB,
    ("stdio", "hub", "2026-07-28"): _HUB,
    ("modern-http", "transparent", "2025-11-25"): QUESTIONS,
    ("modern-http", "hub", "2025-11-25"): QUESTIONS,
    ("modern-stdio", "transparent", "2025-11-25"): QUESTIONS,
    ("modern-stdio", "hub", "2025-11-25"): QUESTIONS,
    ("legacy-http", "direct", "2025-11-25"): _OLD_SERVER,
    ("legacy-http", "hub", "2025-11-25"): _OLD_SERVER,
    ("legacy-stdio", "transparent", "2025-11-25"): _OLD_SERVER,
    ("legacy-stdio", "hub", "2025-11-25"): _OLD_SERVER,
    ("legacy-http", "transparent", "2026-07-28"): _OLD_SERVER_NEW_CLIENT,
    ("legacy-http", "hub", "2026-07-28"): _OLD_SERVER_NEW_CLIENT,
    ("legacy-stdio", "transparent", "2026-07-28"): _OLD_SERVER_NEW_CLIENT,
    ("legacy-stdio", "hub", "2026-07-28"): _OLD_SERVER_NEW_CLIENT,
}
"""By server, route and revision; of all others nothing may fail."""


def is_extension(scenario: str) -> bool:
    """Say whether a scenario is about tasks, which the reference server does not offer."""
    return scenario.startswith("tasks-")


def unexplained(results: Results, gaps: Gaps) -> dict[str, tuple[str, ...]]:
    """Return what failed for no known reason, extensions aside."""
    return {
        name: why
        for name, why in results.failures().items()
        if not is_extension(name) and not (name in gaps and gaps[name].explains(why))
    }


def closed(results: Results, gaps: Gaps) -> set[str]:
    """Return the scenarios that are listed as gaps, and pass."""
    return gaps.keys() - results.failures().keys()

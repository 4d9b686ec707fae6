"""The suite's client scenarios: what a client sends reaches a server behind the tunnel as it was sent.

The suite's own server is behind the agent, and sees the SDK's client through the transparent path.
Scenarios about authorization are left out: there the relay stands for the server.
"""

from pathlib import Path

import pytest

from tests.conformance.clients import check_client

SCENARIOS = {
    ("2025-11-25", "initialize"): 1,
    ("2025-11-25", "tools_call"): 2,
    ("2025-11-25", "elicitation-sep1034-client-defaults"): 5,
    ("2025-11-25", "sse-retry"): 3,
    ("2025-11-25", "json-schema-2020-12-preservation"): 9,
    ("2026-07-28", "tools_call"): 2,
    ("2026-07-28", "request-metadata"): 8,
    ("2026-07-28", "sep-2322-client-request-state"): 5,
    ("2026-07-28", "http-standard-headers"): 9,
    ("2026-07-28", "http-custom-headers"): 18,
    ("2026-07-28", "http-invalid-tool-headers"): 12,
    ("2026-07-28", "json-schema-ref-no-deref"): 1,
    ("2026-07-28", "json-schema-2020-12-preservation"): 9,
}
"""How many checks each scenario has, all of which the SDK's client passes without a tunnel."""


GIVES_UP = ("sep-2322-client-request-state",)
"""Where the client ends with an error, after its last check: the answer has no `resultType`, and its SDK
wants one."""


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("tunnelled", [False, True], ids=["direct", "tunnel"])
@pytest.mark.parametrize(("revision", "scenario"), SCENARIOS)
def test_the_client_passes(tmp_path: Path, revision: str, scenario: str, tunnelled: bool) -> None:
    """Through the tunnel exactly the checks pass that pass without it, and none fails.

    Only that the agent shakes hands with the server as well, and is checked like a client.
    """
    results = check_client(scenario, revision, tmp_path, tunnelled=tunnelled)
    assert results.failures() == {}, results.said
    assert (results.status != 0) == (scenario in GIVES_UP), results.said
    agents = results.passed - SCENARIOS[revision, scenario]
    assert agents in ((0, 1) if tunnelled and scenario == "initialize" else (0,)), results.said

"""The MCP Inspector's command line, in both eras: one program for each question it can ask."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop import environments
from tests.interop.cases import CASES
from tests.interop.conftest import Runs
from tests.interop.drivers import Endpoint

LAUNCHER = "clients/launcher/build/index.js"
TIMEOUT_S = 30.0
ERAS = ("legacy", "modern")

TEMPLATE = "test://template/{id}/data"
SERVERS = {case.name: case for case in CASES if case.name in ("reference", "reference-http")}
"""Those that have everything that the Inspector can ask for."""


@dataclass(frozen=True, slots=True)
class Question:
    """What it is asked to do, and a text in the answer; `{name}` and `{uri}` stand for what is there."""

    method: str
    text: str
    name: str = ""
    uri: str = ""
    template: str = ""
    eras: tuple[str, ...] = ERAS

    def words(self, endpoint: Endpoint) -> list[str]:
        """Return the options."""
        name, uri = endpoint.prefix + self.name, endpoint.uri(self.uri, self.template)
        more = {
            "tools/call": ["--tool-name", name],
            "prompts/get": ["--prompt-name", name, "--prompt-args", "arg1=x", "arg2=y"],
            "resources/read": ["--uri", uri],
            "logging/setLevel": ["--log-level", "warning"],
        }
        return ["--method", self.method, *more.get(self.method, [])]


QUESTIONS = (
    Question("initialize", '"resources": {{'),
    Question("logging/setLevel", "{{}}", eras=("legacy",)),
    Question("tools/list", "{prefix}test_simple_text"),
    Question("tools/call", "simple text response", name="test_simple_text"),
    Question("prompts/list", "{prefix}test_simple_prompt"),
    Question("prompts/get", "arg1='x'", name="test_prompt_with_arguments"),
    Question("resources/list", "test://static-text"),
    Question("resources/templates/list", TEMPLATE),
    Question("resources/read", "static text resource", uri="test://static-text"),
    Question("resources/read", "Data for ID: 7", uri="test://template/7/data", template=TEMPLATE),
)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the Inspector may keep things."""
    return tmp_path_factory.mktemp("inspector")


def ask(endpoint: Endpoint, era: str, words: list[str], env: Mapping[str, str]) -> Any:
    """Run the Inspector once, and return the result."""
    node = environments.node_packages()
    program = node.package_file("@modelcontextprotocol/inspector", LAUNCHER)
    header = ["--header", f"Authorization: Bearer {endpoint.token}"] if endpoint.token else []
    options = ["--transport", "http", "--protocol-era", era, "--format", "json", *header]
    done = subprocess.run(
        [str(node.node), str(program), "--cli", endpoint.url, *options, *words],
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(done.stdout)["result"]


@pytest.mark.parametrize(
    ("era", "question"),
    [
        pytest.param(era, question, id=f"{era}-{question.method}")
        for question in QUESTIONS
        for era in question.eras
    ],
)
@pytest.mark.parametrize(
    ("route", "server"),
    [("direct", "reference-http"), ("tunnel", "reference"), ("tunnel", "reference-http")],
)
def test_the_inspector_gets_its_answer(
    runs: Runs, home: Path, route: str, server: str, era: str, question: Question
) -> None:
    """Every method of the core that the command line has works on every route, in the era it was told."""
    endpoint = runs.endpoint(route, SERVERS[server])
    result = ask(endpoint, era, question.words(endpoint), {"HOME": str(home)})
    assert question.text.format(prefix=endpoint.prefix, id="{id}") in json.dumps(result)

"""Runs the suite's scenarios for authorization servers, with a person who goes where it sends them."""

import re
from pathlib import Path

from tests.conformance.suite import SUITE, TIMEOUT_S, Results, scores
from tests.interop import environments
from tests.interop.processes import Process, wait_until
from tests.interop.walker import Walker

_URL = re.compile(r"^(https?://\S+response_type=code\S*)$", re.MULTILINE)


def check_authorization_server(
    issuer: str, client_id: str, callback_port: int, folder: Path, *words: str
) -> Results:
    """Run all scenarios. The client is known to the server, with http://127.0.0.1:PORT/callback."""
    node = environments.node_packages()
    program = node.package_file(SUITE, "dist/index.js")
    options = ["--url", issuer, "--client-id", client_id, "-p", str(callback_port)]
    argv = [str(node.node), str(program), "authorization", *options, "-o", str(folder), *words]
    with Process("suite", argv, log=folder / "log") as suite:
        wait_until(lambda: bool(_URL.search(suite.log_text())), TIMEOUT_S, "the suite's URL")
        (url,) = set(_URL.findall(suite.log_text()))
        walker = Walker("alice")
        walker.open(walker.go(url).location)
        status = suite.wait(TIMEOUT_S)
        return Results(scores(folder), status, suite.log_text())

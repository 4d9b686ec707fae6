"""Runs schemathesis: requests of all kinds, made from an OpenAPI description, against a real relay."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.interop.environments import ROOT

DESCRIPTION = ROOT / "docs" / "reference" / "openapi.json"
TIMEOUT_S = 240.0
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
_COMMAND = "from schemathesis.cli import schemathesis; schemathesis()"


def knowing(values: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the description, with the only values of some parameters and members of forms."""
    description: dict[str, Any] = json.loads(DESCRIPTION.read_text())
    for item in description["paths"].values():
        for method in ("get", "post"):
            _tell(item.get(method, {}), values)
    return description


def _tell(part: Any, values: Mapping[str, Sequence[str]]) -> None:
    if isinstance(part, list):
        for each in part:
            _tell(each, values)
    if not isinstance(part, dict):
        return
    if part.get("in") == "query" and part["name"] in values:
        part["schema"] = {"type": "string", "enum": list(values[part["name"]])}
    for name, schema in part.get("properties", {}).items():
        if name in values and schema.get("type") == "string":
            part["properties"][name] = {"type": "string", "enum": list(values[name])}
    for name, each in part.items():
        if name != "responses":
            _tell(each, values)


def run(
    origin: str,
    description: Mapping[str, Any],
    folder: Path,
    headers: Mapping[str, str],
    *words: str,
) -> subprocess.CompletedProcess[str]:
    """Run it once, always with the same requests."""
    told = folder / "openapi.json"
    told.write_text(json.dumps(description))
    fields = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    options = ["--checks", ",".join(CHECKS), "--seed", "1", "--no-color"]
    return subprocess.run(
        [
            sys.executable,
            "-c",
            _COMMAND,
            "run",
            str(told),
            "--url",
            origin,
            *options,
            *fields,
            *words,
        ],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )

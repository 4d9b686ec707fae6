"""Loads the configuration of a relay or an agent, or says everything that is wrong with it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from mcptunnel.config import compat
from mcptunnel.config.agent import AgentConfig, ServerConfig
from mcptunnel.config.agent_key import SignInFault, place_key, require_credential
from mcptunnel.config.auth import place_auth
from mcptunnel.config.errors import Findings, InvalidValueError
from mcptunnel.config.expand import LooseText, expand
from mcptunnel.config.listen import loopback_url, parse_listen
from mcptunnel.config.names import default_device_name
from mcptunnel.config.reader import Reader, read_text
from mcptunnel.config.relay import RelayConfig
from mcptunnel.config.schema import fields_of
from mcptunnel.config.source import Source, find_source
from mcptunnel.config.spelling import canonical
from mcptunnel.config.store import place_store_url
from mcptunnel.config.user_data import user_data

_Config = TypeVar("_Config", RelayConfig, AgentConfig)

_OVERRIDE_SOURCE = "command line"
_SCALARS = (str, int, float, bool, Path)


def load_relay(
    path: Path | None,
    environ: Mapping[str, str],
    cwd: Path,
    overrides: Mapping[str, str] | None = None,
) -> RelayConfig:
    """Return the relay's configuration.

    `path` is the file, else `environ` or `cwd` tell; `overrides` are texts by dotted canonical key
    that win over the file. Raises `ConfigError` with all problems.
    """
    source = find_source(path, environ, cwd)
    findings = Findings(source.label)
    tree = _tree(source, RelayConfig, environ, overrides or {}, cwd, findings)
    if "listen" in (overrides or {}):
        tree = {name: value for name, value in tree.items() if name not in ("host", "port")}
    has_mode = compat.check_mode(tree, "relay", findings)
    compat.rewrite_address(tree, findings, has_mode=has_mode)
    compat.drop_short_secret(tree, has_mode=has_mode)
    place_auth(tree, environ, source.base, findings, has_mode=has_mode)
    tree.setdefault("state_dir", "state")
    _default_public_url(tree)
    place_store_url(tree, environ, source.base, findings)
    values = Reader(source.base, findings).section(tree, RelayConfig)
    return _finished(RelayConfig, values, findings)


def load_agent(
    path: Path | None,
    environ: Mapping[str, str],
    cwd: Path,
    overrides: Mapping[str, str] | None = None,
    *,
    check_key: Callable[[str], str] = lambda _text: "",
    sign_in_fault: SignInFault = lambda _relay: None,
) -> AgentConfig:
    """Return the agent's configuration; arguments and errors as for `load_relay`.

    The key may come from `$MCPTUNNEL_KEY` in `environ`; `check_key` says what is wrong with its
    text, as a predicate ("is …"), or nothing. Without a key `sign_in_fault` says whether there is a
    sign-in to use instead.
    """
    source = find_source(path, environ, cwd)
    findings = Findings(source.label)
    tree = _tree(source, AgentConfig, environ, overrides or {}, cwd, findings)
    compat.check_mode(tree, "agent", findings)
    compat.rewrite_servers(tree, findings)
    tree.setdefault("name", default_device_name())
    if "state_dir" not in tree:
        tree["state_dir"] = str(_agent_state_dir(source, tree, findings))
    place_key(tree, environ, source.base, check_key, findings)
    values = Reader(source.base, findings).section(tree, AgentConfig)
    require_credential(values, sign_in_fault, findings)
    if "servers" in values:
        values["servers"] = tuple(
            _with_placed_program(server, source.base) for server in values["servers"]
        )
    return _finished(AgentConfig, values, findings)


def _tree(
    source: Source,
    section: type,
    environ: Mapping[str, str],
    overrides: Mapping[str, str],
    cwd: Path,
    findings: Findings,
) -> dict[str, Any]:
    compat.check_program(source, section)
    tree = canonical(expand(source.data, environ, findings), section, findings)
    for key, text in overrides.items():
        findings.came_from(key, _OVERRIDE_SOURCE)
        if not _override(tree, section, key, text, cwd):
            findings.add(key, "is not a key that can be given here", "Write it in the file.")
    return tree


def _override(tree: dict[str, Any], section: type, key: str, text: str, cwd: Path) -> bool:
    name, _, rest = key.partition(".")
    spec = next((spec for spec in fields_of(section) if spec.name == name), None)
    if spec is None:
        return False
    if rest:
        inner = tree.setdefault(name, {})
        return (
            spec.is_section
            and isinstance(inner, dict)
            and _override(inner, spec.kind, rest, text, cwd)
        )
    if spec.kind not in _SCALARS:
        return False
    # What is typed at a prompt is relative to where it is typed, not to the file.
    is_relative = spec.kind is Path and text and not text.startswith("~")
    tree[name] = LooseText(cwd / text if is_relative else text)
    return True


def _default_public_url(tree: dict[str, Any]) -> None:
    listen = tree.get("listen", fields_of(RelayConfig)[0].default)
    try:
        url = loopback_url(parse_listen(read_text(listen)))
    except InvalidValueError:
        # The reader will say it; that the URL does not follow from `listen` then is no news.
        url = "http://localhost"
    if url:
        tree.setdefault("public_url", url)


def _agent_state_dir(source: Source, tree: Mapping[str, Any], findings: Findings) -> Path:
    # A text from the environment has no path; what stays the same about it names the folder.
    identity = (
        str(source.path.resolve())
        if source.path
        else f"{source.base.resolve()} {tree.get('relay')} {tree.get('name')}"
    )
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    try:
        return user_data() / "agents" / digest
    except InvalidValueError as error:
        findings.add("state_dir", f"is missing, and {error.message}", "Name a directory.")
        return source.base


def _with_placed_program(server: ServerConfig | None, base: Path) -> ServerConfig | None:
    """Make a program that is given by a relative path absolute, as every path of a file is."""
    if not (server and server.command and "/" in server.command[0]):
        return server
    program = (server.cwd or base) / server.command[0]
    return replace(server, command=(str(program), *server.command[1:]))


def _finished(section: type[_Config], values: dict[str, Any], findings: Findings) -> _Config:
    findings.raise_if_any()
    return section(**values)

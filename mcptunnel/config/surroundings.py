"""What a good configuration still lacks on this machine, as far as it shows without a start."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from mcptunnel.config.agent import AgentConfig, ServerConfig
from mcptunnel.config.auth import NONE
from mcptunnel.config.listen import describe_endpoint
from mcptunnel.config.relay import RelayConfig


def warnings(config: RelayConfig | AgentConfig, environ: Mapping[str, str]) -> Iterator[str]:
    """Give a sentence for each thing that is missing now, and may be there when it is needed."""
    if _is_there(config.state_dir) and not _is_directory(config.state_dir):
        yield f"state_dir: {config.state_dir} is a file, not a directory. Name another path."
    if isinstance(config, RelayConfig):
        yield from _about_listening(config.listen)
        yield from about_auth(config)
        return
    for server in config.servers:
        yield from _about_server(server, environ)


def about_auth(config: RelayConfig) -> Iterator[str]:
    """Give a sentence for each thing about who may come in that its user may not have meant."""
    auth = config.auth
    if auth.mode == NONE:
        yield (
            "auth.mode: nobody has to prove who they are; every program on this machine may use the"
            " relay, and be an agent."
        )
    if auth.is_open:
        yield (
            f"auth: everybody may come in whom {auth.issuer} lets sign in. Write allowed_users,"
            " allowed_emails, allowed_domains or allowed_groups."
        )
    if auth.ca_file is not None and not auth.ca_file.is_file():
        yield f"auth.ca_file: {auth.ca_file} is not there. Nobody can sign in without it."


def _about_listening(listen: str) -> Iterator[str]:
    endpoint = describe_endpoint(listen)
    if endpoint.kind != "unix":
        return
    directory = Path(endpoint.keywords.get("address", (*endpoint.arguments, "")[0])).parent
    if not _is_directory(directory):
        yield f"listen: the directory {directory} is not there. Make it."


def _about_server(server: ServerConfig, environ: Mapping[str, str]) -> Iterator[str]:
    key = f"servers.{server.name}"
    if server.cwd is not None and not _is_directory(server.cwd):
        yield f"{key}.cwd: the directory {server.cwd} is not there. Make it, or name another one."
    if server.command is None:
        return
    program = server.command[0]
    path = server.env.get("PATH", environ.get("PATH", os.defpath))
    if shutil.which(program, path=path) is None:
        what = "cannot be run" if _is_there(program) else "is not there"
        where = "" if "/" in program else " in PATH"
        yield f"{key}.command: the program {program} {what}{where}. Install it, or name its path."


def _is_there(path: Path | str) -> bool:
    """Whether something has this path; a path that nothing can have, such as a very long one, has not."""
    return os.path.exists(path)  # noqa: PTH110 - `Path.exists` raises then


def _is_directory(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - as above

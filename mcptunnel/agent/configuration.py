"""The agent's configuration, its key included: that is no text of any form, but an API key."""

from collections.abc import Mapping
from pathlib import Path

from mcptunnel.auth import keys
from mcptunnel.config.agent import AgentConfig
from mcptunnel.config.errors import ConfigError, Problem
from mcptunnel.config.load import load_agent


def load(
    path: Path | None,
    environ: Mapping[str, str],
    cwd: Path,
    overrides: Mapping[str, str] | None = None,
) -> AgentConfig:
    """Load as `config.load.load_agent` does. Raises ConfigError, for a mistyped key as well."""
    config = load_agent(path, environ, cwd, overrides)
    if keys.parse(config.key.reveal()) is None:
        where = "configuration" if path is None else str(path)
        raise ConfigError(
            [
                Problem(
                    where,
                    "key_file" if config.key_file else "key",
                    "is not a whole API key (mcpt_ak_…), or has a typing error in it",
                    "Copy it again, or make one with: mcptunnel keys create --scope agent",
                )
            ]
        )
    return config

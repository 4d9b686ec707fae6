"""Which environment variables a child may see."""

from collections.abc import Mapping

_ALLOWED = frozenset({"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "USER"})
_ALLOWED_PREFIXES = ("LC_", "XDG_")
_OURS = "MCPTUNNEL_"


def child_environment(base: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child: an allow-list of `base`, and all of `extra` over it.

    The list is that of the MCP SDKs, with language, temporary and XDG directories. What is set in
    our own environment to configure us, credentials included, is for us: no child gets a variable
    that starts with MCPTUNNEL_. Exported shell functions (values that start with "()") stay behind.
    """
    chosen = {
        name: value
        for name, value in base.items()
        if (name in _ALLOWED or name.startswith(_ALLOWED_PREFIXES)) and not value.startswith("()")
    }
    chosen.update((name, value) for name, value in extra.items() if not name.startswith(_OURS))
    return chosen

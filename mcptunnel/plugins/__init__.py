"""The plugin path: every `mcptunnel/plugins/` directory on `sys.path` that has no `__init__.py`.

A distribution of yours adds plugins by shipping one module there, as Twisted's own plugins do
(`twisted.plugin.pluginPackagePaths`).
"""

from twisted.plugin import pluginPackagePaths

__path__.extend(pluginPackagePaths(__name__))
__all__: list[str] = []

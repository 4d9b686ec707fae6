"""The floors of the house (docs/explanation/architecture), read from the source with `ast`.

An import under `if TYPE_CHECKING` counts as any other: to know a name is to depend on it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PACKAGE = CHECKOUT / "mcptunnel"
TESTS = CHECKOUT / "tests"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("model",),
    ("sealing",),
    ("config",),
    ("wire", "mcp", "auth"),
    ("interfaces",),
    ("net", "store"),
    ("relay", "agent"),
    ("relay.tap", "agent.tap", "cli", "plugins", "testing"),
)
"""Lowest first. A room may import from lower floors and from itself: rooms beside it are strangers."""

FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

PURE = frozenset({"errors", "model", "sealing", "wire", "mcp", "auth"})
_IMPURE = """
alembic asyncio autobahn click concurrent datetime ftplib http.client http.server io logging
multiprocessing OpenSSL os pathlib platformdirs queue random rich secrets select selectors
service_identity shutil signal smtplib socket socketserver sqlalchemy ssl subprocess sys tempfile
threading time treq twisted txaio urllib.request uuid zope
"""
IMPURE = frozenset(_IMPURE.split())
"""I/O, clocks, chance, threads, and the frameworks: a pure room gets times and bytes as arguments."""

DOORS: dict[str, tuple[str, ...]] = {
    "msgpack": ("wire/codec.py",),
    "autobahn": ("net/websocket.py",),
    "txaio": ("net/websocket.py",),
    "_nvx_xormasker": ("net/frames.py",),  # Autobahn's compiled part
    "treq": ("net/http.py",),
    "OpenSSL": ("net/",),
    "service_identity": ("net/",),
    "sqlalchemy": ("store/",),
    "alembic": ("store/",),
    "psycopg": ("store/postgresql.py",),
    "sqlalchemy.dialects.sqlite": ("store/upsert.py",),
    "sqlalchemy.dialects.postgresql": ("store/upsert.py",),
    "jwt": ("auth/jose.py",),
    "argon2": ("relay/login/passwords.py",),
    "jinja2": ("relay/web/pages/render.py",),
    "click": ("cli/",),
    "rich": ("cli/",),
    "asyncio": (),
    "twisted.internet.defer.inlineCallbacks": (),
    "pytest": (),
    "tests": (),
}
"""Who alone may import a dependency; a name that ends in / is a room."""

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 40

UNTESTED: dict[str, str] = {
    "model.py": "words, and one look-up that everybody's tests use",
    "store/migrations/": "run from the first to the last by tests/store/test_migrate.py",
}
"""Files and folders without test files of their own, and why."""

UNPAIRED: dict[str, str] = {
    "test_layering.py": "reads all sources",
    "test_guards.py": "shows conftest.py",
    "wire/test_protocol_page.py": "holds docs/reference/protocol against the constants",
    "mcp/client_half/test_crossing.py": "joins all of client_half: no client hears of another",
    "mcp/server_half/test_crossing.py": "joins all of server_half: no call hears of another",
}
UNPAIRED_FOLDERS = (
    "benchmarks",
    "conformance",
    "docs",
    "fuzz",
    "interop",
    "isolation",
    "packaging",
    "pages",
    "programs",
    "soak",
    "tutorial",
)
"""Tests of the whole product, which have no source file to stand beside."""


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "node_modules" not in path.parts)


def name_in(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def room_of(dotted: str) -> str:
    """Return the room of a module such as `mcptunnel.wire.codec`; "" for the package itself."""
    parts = dotted.split(".")[1:]
    tap = ".".join(parts[:2])
    return tap if tap in FLOOR_OF else "".join(parts[:1])


def imported(tree: ast.AST, module: str) -> Iterator[tuple[str, ast.stmt]]:
    """Yield every name that a module imports, in full, with its statement."""
    package = module.split(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((f"{base}.{alias.name}", node) for alias in node.names)


def within(name: str, dotted: str) -> bool:
    return name == dotted or name.startswith(f"{dotted}.")


def broken_floors(path: str, source: str) -> list[str]:
    """Say which rules about imports a file of the package breaks; `path` is relative to it."""
    module = "mcptunnel." + path.removesuffix(".py").replace("/", ".")
    room = room_of(module.removesuffix(".__init__"))
    found: list[str] = []
    for name, node in imported(ast.parse(source), module):
        where = f"{path}:{node.lineno} imports {name}"
        if name.startswith("mcptunnel."):
            other = room_of(name)
            known = other in FLOOR_OF
            if known and other != room and FLOOR_OF[other] >= FLOOR_OF.get(room, -1):
                found.append(f"{where}: {room or 'the package'} may import only from lower floors")
        if room in PURE and any(within(name, banned) for banned in IMPURE):
            found.append(f"{where}: {room} is pure (no I/O, no clock, no Twisted)")
        for dependency, doors in DOORS.items():
            if within(name, dependency) and not path.startswith(doors or ("-",)):
                allowed = ", ".join(doors) or "nobody"
                found.append(f"{where}: only for {allowed} (one door per dependency)")
    return found + broken_reactor(path, source)


def broken_reactor(path: str, source: str) -> list[str]:
    """Say where the global reactor is imported outside `makeService` and the command line."""
    if path.startswith("cli/"):
        return []
    tree = ast.parse(source)
    excused: set[ast.AST] = set()
    if path.endswith("/tap.py"):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == "makeService":
                excused.update(ast.walk(node))
    return [
        f"{path}:{node.lineno} imports the global reactor: only makeService and cli/ may"
        for name, node in imported(tree, "mcptunnel")
        if within(name, "twisted.internet.reactor") and node not in excused
    ]


def long_functions(source: str) -> Iterator[tuple[str, int, int]]:
    """Yield name, line and length, without its docstring, of every function that is too long."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node, clean=False) is not None:
                length -= (first.end_lineno or 0) - first.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield node.name, node.lineno, length


def test_every_room_has_a_floor() -> None:
    """A new file at the top of the package, or a new folder, needs a place in FLOORS."""
    rooms = {path.stem if path.suffix == ".py" else path.name for path in PACKAGE.iterdir()}
    assert rooms - {"__init__", "__pycache__", "py"} <= {*FLOOR_OF, "py.typed"}


@pytest.mark.parametrize("path", [name_in(PACKAGE, path) for path in sources(PACKAGE)])
def test_imports_keep_to_the_floors(path: str) -> None:
    broken = broken_floors(path, (PACKAGE / path).read_text(encoding="utf-8"))
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("path", [name_in(PACKAGE, path) for path in sources(PACKAGE)])
def test_functions_are_short(path: str) -> None:
    source = (PACKAGE / path).read_text(encoding="utf-8")
    assert not [
        f"{path}:{line} {name} has {length} lines, more than {MAX_FUNCTION_LINES}"
        for name, line, length in long_functions(source)
    ]


def test_files_are_short() -> None:
    counts = {
        name_in(CHECKOUT, path): len(path.read_text(encoding="utf-8").splitlines())
        for folder in (PACKAGE, TESTS, CHECKOUT / "twisted")
        for path in sources(folder)
    }
    assert not [
        f"{name} has {count} lines, more than {MAX_FILE_LINES}"
        for name, count in counts.items()
        if count > MAX_FILE_LINES
    ]


def test_twistd_plugins_import_nothing_of_ours() -> None:
    """`twistd --help` imports them all: they must be quick, and must not choose a reactor."""
    for path in sources(CHECKOUT / "twisted"):
        names = [name for name, _ in imported(ast.parse(path.read_text(encoding="utf-8")), "-")]
        assert names == ["twisted.application.service.ServiceMaker"], path


def holds_behaviour(source: str) -> bool:
    """Whether any function does something: names, tables and protocols need no test of their own."""
    return any(
        not isinstance(statement, ast.Pass)
        and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in node.body
    )


def test_every_source_file_has_its_test_file() -> None:
    """mcptunnel/wire/codec.py is tested by tests/wire/test_codec.py, or test_codec_*.py beside it."""
    missing = []
    for path in sources(PACKAGE):
        name = name_in(PACKAGE, path)
        folder = (TESTS / name).parent
        tests = [*folder.glob(f"test_{path.stem}.py"), *folder.glob(f"test_{path.stem}_*.py")]
        excused = name.startswith(tuple(UNTESTED)) or tests
        if not excused and holds_behaviour(path.read_text(encoding="utf-8")):
            missing.append(f"{name} has no {name_in(CHECKOUT, folder)}/test_{path.stem}.py")
    assert not missing, "\n".join(missing)


def test_every_test_file_has_its_source_file() -> None:
    """The reverse: a test file bears the name of a source file, or of a folder, of the package."""
    lost = []
    for path in sources(TESTS):
        name = name_in(TESTS, path)
        if name.split("/")[0] in UNPAIRED_FOLDERS or name in UNPAIRED:
            continue
        folder, stem = (PACKAGE / name).parent, path.stem.removeprefix("test_")
        tested = {one.stem for one in folder.glob("*")} if folder.is_dir() else set()
        known = any(stem == one or stem.startswith(f"{one}_") for one in tested)
        if path.stem.startswith("test_") and not known:
            lost.append(f"tests/{name} stands beside no source file")
    assert not lost, "\n".join(lost)


def test_the_exceptions_are_needed() -> None:
    """An exception for a file that is gone goes as well."""
    assert all((PACKAGE / name).exists() for name in UNTESTED)
    assert all((TESTS / name).is_file() for name in UNPAIRED)


@pytest.mark.parametrize(
    ("path", "source", "rule"),
    [
        ("wire/codec.py", "from mcptunnel.mcp import sse", "lower floors"),
        ("wire/codec.py", "import mcptunnel.net.link", "lower floors"),
        ("relay/hub.py", "from mcptunnel.agent.service import x", "lower floors"),
        ("relay/hub.py", "from mcptunnel import agent", "lower floors"),
        ("relay/hub.py", "from mcptunnel.relay import tap", "lower floors"),
        ("relay/hub.py", "from ..agent import service", "lower floors"),
        ("net/link.py", "if TYPE_CHECKING:\n    from mcptunnel.store import keys", "lower floors"),
        ("__init__.py", "import mcptunnel.wire", "lower floors"),
        ("auth/keys.py", "import time", "pure"),
        ("auth/keys.py", "from twisted.logger import Logger", "pure"),
        ("mcp/sse.py", "def f():\n    import socket", "pure"),
        ("wire/frames.py", "import msgpack", "one door"),
        ("net/link.py", "from autobahn.twisted import websocket", "one door"),
        ("relay/hub.py", "import asyncio", "one door"),
        ("relay/hub.py", "from twisted.internet.defer import inlineCallbacks", "one door"),
        ("relay/hub.py", "from twisted.internet import reactor", "makeService"),
        ("relay/tap.py", "from twisted.internet import reactor", "makeService"),
    ],
)
def test_a_broken_rule_is_told(path: str, source: str, rule: str) -> None:
    (told,) = broken_floors(path, source)
    assert rule in told


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("wire/codec.py", "import msgpack\nfrom mcptunnel.model import Headers"),
        ("wire/codec.py", "from mcptunnel.wire.frames import Open"),
        ("wire/codec.py", "from . import frames"),
        ("relay/tap.py", "def makeService(o):\n    from twisted.internet import reactor"),
        ("relay/tap.py", "from mcptunnel.relay.service import RelayService"),
        ("cli/demo.py", "from twisted.internet import reactor\nimport click"),
        ("testing/demo_server.py", "from mcptunnel import __version__"),
    ],
)
def test_what_is_allowed_is_let_through(path: str, source: str) -> None:
    assert not broken_floors(path, source)


def test_a_docstring_does_not_make_a_function_long() -> None:
    body = "\n".join("    pass" for _ in range(MAX_FUNCTION_LINES - 1))
    text = '    """' + "\n".join("words" for _ in range(20)) + '"""'
    assert not list(long_functions(f"def f():\n{text}\n{body}"))
    assert list(long_functions(f"def f():\n{text}\n{body}\n    pass"))


def test_names_without_behaviour_need_no_test() -> None:
    assert not holds_behaviour(
        'X = 1\nclass A(Protocol):\n    def f(self) -> int:\n        """."""\n'
    )
    assert holds_behaviour("class A:\n    def f(self) -> int:\n        return 1\n")

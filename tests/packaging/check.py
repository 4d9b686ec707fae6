"""Build the distributions, install them elsewhere, and look whether everything is there.

Run by `make packaging`; needs `build` and a package index. Ends with 1 at the first thing missing.

What is shown: the wheel holds the package with its migrations, pages and `py.typed`, and no tests; a wheel
built from the sdist is the same; installed as a wheel and as an editable checkout, from any directory,
`twistd` lists both plugins and `mcptunnel` starts; uninstalling leaves Twisted whole.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
NOT_COPIED = shutil.ignore_patterns(
    ".*", "build", "dist", "_build", "node_modules", "__pycache__", "*.egg-info", "dropin.cache"
)
NEEDED = (
    "mcptunnel/__init__.py",
    "mcptunnel/py.typed",
    "mcptunnel/plugins/__init__.py",
    "mcptunnel/relay/web/pages/static/style.css",
    "mcptunnel/relay/web/pages/templates/base.html",
    "mcptunnel/store/migrations/env.py",
    "mcptunnel/testing/demo_server.py",
    "twisted/plugins/mcptunnel_agent.py",
    "twisted/plugins/mcptunnel_relay.py",
)
PAGE = (
    "from mcptunnel.relay.web.pages.kinds import SignedOutPage; "
    "from mcptunnel.relay.web.pages.render import Pages; "
    "print(Pages('https://relay.example.com').render(SignedOutPage()).decode())"
)
PLUGINS = ("mcptunnel-agent", "mcptunnel-relay")


def say(text: str) -> None:
    sys.stdout.write(f"packaging: {text}\n")
    sys.stdout.flush()


def insist(found: bool, text: str) -> None:
    if not found:
        say(f"FAILED: {text}")
        sys.exit(1)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command and return what it wrote on stdout; show everything if it fails."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    told = f"{done.stdout}\n{done.stderr}"
    insist(
        done.returncode == 0, f"{' '.join(map(str, command))} ended with {done.returncode}\n{told}"
    )
    return done.stdout


def build(source: Path, kind: str, out: Path) -> Path:
    run(sys.executable, "-m", "build", f"--{kind}", "--outdir", out, source, cwd=out.parent)
    (built,) = out.iterdir()
    return built


def contents(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: hashlib.sha256(archive.read(name)).hexdigest()
            for name in archive.namelist()
            if not name.endswith("/RECORD")
        }


def check_wheel(files: dict[str, str], source: Path) -> None:
    for name in NEEDED:
        insist(name in files, f"the wheel lacks {name}")
    sources = {
        path.relative_to(source).as_posix()
        for folder in ("mcptunnel", "twisted")
        for path in (source / folder).rglob("*.*")
        if path.is_file()
    }
    insist(sources <= set(files), f"the wheel lacks {sorted(sources - set(files))}")
    tops = {name.split("/")[0] for name in files}
    odd = {top for top in tops - {"mcptunnel", "twisted"} if not top.endswith(".dist-info")}
    insist(not odd, f"the wheel holds {sorted(odd)} as well")


def check_installed(python: Path, elsewhere: Path) -> None:
    bin_folder = python.parent
    listed = run(bin_folder / "twistd", "--help", cwd=elsewhere)
    for plugin in PLUGINS:
        insist(plugin in listed, f"twistd --help does not list {plugin}")
        run(bin_folder / "twistd", plugin, "--help", cwd=elsewhere)
    version = run(bin_folder / "mcptunnel", "--version", cwd=elsewhere)
    expected = run(python, "-c", "import mcptunnel; print(mcptunnel.__version__)", cwd=elsewhere)
    insist(expected.strip() in version, f"mcptunnel --version says {version!r}")
    insist("</html>" in run(python, "-c", PAGE, cwd=elsewhere), "a page is not whole")
    run(python, "-m", "pip", "check", cwd=elsewhere)


def check_uninstall(python: Path, elsewhere: Path) -> None:
    run(python, "-m", "pip", "uninstall", "--yes", "--quiet", "mcptunnel", cwd=elsewhere)
    listed = run(python.with_name("twistd"), "--help", cwd=elsewhere)
    insist("mcptunnel" not in listed, "twistd still lists our plugins after pip uninstall")


def install(python: Path, what: Path, *options: str) -> None:
    quiet = ("--quiet", "--disable-pip-version-check")
    run(python, "-m", "pip", "install", *quiet, *options, what, cwd=python.parent)


def main() -> None:
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mcptunnel packaging ") as name:
        root = Path(name)
        source, elsewhere = root / "source", root / "elsewhere"
        shutil.copytree(CHECKOUT, source, ignore=NOT_COPIED)
        for folder in ("elsewhere", "sdist", "wheel", "again"):
            (root / folder).mkdir()
        say("building the wheel and the sdist ...")
        wheel = build(source, "wheel", root / "wheel")
        files = contents(wheel)
        check_wheel(files, source)
        sdist = build(source, "sdist", root / "sdist")
        shutil.unpack_archive(sdist, root / "unpacked", filter="data")
        (unpacked,) = (root / "unpacked").iterdir()
        say("building a wheel from the sdist ...")
        again = contents(build(unpacked, "wheel", root / "again"))
        insist(again == files, f"it differs in {sorted(set(again.items()) ^ set(files.items()))}")
        venv.create(root / "env", with_pip=True)
        python = root / "env" / "bin" / "python"
        for text, what, options in (
            ("the wheel into an empty environment", wheel, ()),
            ("an editable checkout in its place", source, ("--editable",)),
        ):
            say(f"installing {text} ...")
            install(python, what, *options)
            check_installed(python, elsewhere)
            check_uninstall(python, elsewhere)
    say(f"all is there ({len(files)} files in {wheel.name}, {time.monotonic() - started_s:.0f} s)")


if __name__ == "__main__":
    main()

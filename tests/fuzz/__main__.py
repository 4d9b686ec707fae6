"""The command: `python -m tests.fuzz [--seconds N] [targets]`, or with `--replay FILE` one input again.

Inputs worth keeping stay in FOLDER/TARGET/corpus for the next run; an input that broke a
target is FOLDER/TARGET/crash-... (also leak-, oom-, timeout-).
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

CHECKOUT = Path(__file__).parents[2]
FOLDER = CHECKOUT / ".cache" / "fuzz"
MAX_INPUT_BYTES = 4096
INPUT_TIMEOUT_S = 10
MEMORY_MB = 1024
MISSING = (
    "atheris is not installed, so nothing was fuzzed. It has wheels for Linux on x86-64 and Python 3.11"
    " to 3.14: pip install atheris"
)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)}; all"
    )
    parser.add_argument("--seconds", type=int, default=30, help="for each target (30)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of corpus and crashes")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="give this to one target")
    options = parser.parse_args(argv)
    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    if options.replay and len(options.targets) != 1:
        parser.error("--replay is for one target")
    return options


def fuzz(target: str, folder: Path, seconds: int) -> bool:
    """Run one target; return whether it held. What broke it is printed and kept."""
    corpus = folder / target / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    started_s = time.time()
    with tempfile.TemporaryDirectory(prefix="seeds-") as seed_folder:
        for number, seed in enumerate(seeds(target)):
            (Path(seed_folder) / f"{number:03}").write_bytes(seed)
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={MAX_INPUT_BYTES}",
            f"-timeout={INPUT_TIMEOUT_S}",
            f"-rss_limit_mb={MEMORY_MB}",
            f"-artifact_prefix={folder / target}/",
            "-print_final_stats=1",
            "-verbosity=0",
        ]
        argv = [sys.executable, "-m", "tests.fuzz.one", target, *options, str(corpus), seed_folder]
        status = subprocess.run(argv, cwd=CHECKOUT, check=False).returncode
    for crash in sorted((folder / target).glob("*-*")):
        if crash.stat().st_mtime >= started_s - 1:
            data = crash.read_bytes()
            say(f"{target} is broken by {crash}: {data[:400].hex()}{'...' * (len(data) > 400)}")
            say(f"Again: python -m tests.fuzz {target} --replay {crash}")
    return status == 0


def say(line: str) -> None:
    """Write a line, in order with what the fuzzer wrote."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(argv: Sequence[str]) -> int:
    """Fuzz as the arguments say; return the exit code."""
    options = parse(argv)
    targets = options.targets or list(TARGETS)
    if options.replay:
        TARGETS[targets[0]](options.replay.read_bytes())
        say(f"{targets[0]} holds")
        return 0
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write(f"{MISSING}\n")
        return 1
    failed = [name for name in targets if not fuzz(name, options.folder.resolve(), options.seconds)]
    held = [name for name in targets if name not in failed]
    say(f"held: {', '.join(held) or 'none'}; broken: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

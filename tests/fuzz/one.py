"""One target under atheris: `python -m tests.fuzz.one TARGET [options and folders of libFuzzer]`.

The process is libFuzzer's from then on; it ends with the run.
"""

import sys

import atheris

INSTRUMENTED = ["mcptunnel.wire", "mcptunnel.mcp"]


def main() -> None:
    """Run the fuzzer."""
    name = sys.argv[1]
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - instrumented as it is imported
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()

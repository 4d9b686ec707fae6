"""Runs a script of the SDK's with a bearer token in all its requests: `bearer_client.py SCRIPT URL`.

The script has no option for one; the token is in the environment, BEARER.
"""

import os
import runpy
import sys
from typing import Any

import httpx2  # type: ignore[import-not-found, unused-ignore]  # only in the SDK's environment

_init = httpx2.AsyncClient.__init__


def _authorized(self: Any, *words: Any, **options: Any) -> None:
    _init(self, *words, **options)
    self.headers["Authorization"] = f"Bearer {os.environ['BEARER']}"


if __name__ == "__main__":
    if os.environ["BEARER"]:
        httpx2.AsyncClient.__init__ = _authorized
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")

"""A client of the transport of 2024-11-05 (`/sse`) that is not ours: list, call, progress, cancel."""

import pytest

from tests.interop.cases import CASES, ServerCase
from tests.interop.drivers import DRIVERS, Endpoint, list_tools
from tests.interop.tunnel import OWN_TOOLS, Tunnel

(DRIVER,) = (driver for driver in DRIVERS if driver.name == "python-1")


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_hub_over_two_endpoints(tunnel: Tunnel, case: ServerCase) -> None:
    """The same tools and news as over Streamable HTTP."""
    prefix = f"{case.name}__"
    steps = [list_tools(), case.simple, *([case.progress] if case.progress else [])]
    told = [
        DRIVER.run(Endpoint(url, tunnel.token, prefix), *steps)
        for url in (f"{tunnel.origin}/sse", tunnel.url)
    ]
    assert told[0].protocol == "2024-11-05"
    assert {*OWN_TOOLS} < told[0].tools(0).keys() == told[1].tools(0).keys()
    assert case.text in told[0].text(1)
    assert not told[0].result(1).get("isError")
    if case.progress is not None:
        assert len(told[0].of(2, "progress")) == len(told[1].of(2, "progress")) > 0
        assert not told[0].result(2).get("isError")

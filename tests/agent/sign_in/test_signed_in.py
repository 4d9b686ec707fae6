"""A program's sign-in uses the user's file and the network; on the disk it is written in a thread."""

import threading
from pathlib import Path

import pytest

from mcptunnel.agent.sign_in.kept import KeptGrant
from mcptunnel.agent.sign_in.signed_in import signed_in
from tests.agent import in_reactor, the_reactor
from tests.agent.sign_in import access, data_folder, grant, refresh
from tests.agent.sign_in.fake_relay import FakeRelay


@in_reactor
async def test_an_old_sign_in_is_renewed_over_the_network(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And kept; no disk is waited for in the reactor's thread."""
    data_folder(monkeypatch, tmp_path / "Dätä")
    relay = FakeRelay(free_port)
    relay.issued, relay.live = 1, refresh(1)
    kept = KeptGrant(relay.origin)
    kept.write(grant(relay.origin))  # of 1970
    threads: list[object] = []
    write = KeptGrant.write

    def written(self: KeptGrant, one: object) -> None:
        threads.append(threading.current_thread())
        write(self, one)  # type: ignore[arg-type] # it is a grant

    monkeypatch.setattr(KeptGrant, "write", written)
    credential = signed_in(the_reactor(), relay.origin)
    assert await credential.bearer() == access(2)
    found = kept.read()
    assert found is not None
    assert found.refresh_token.reveal() == refresh(2)
    assert threading.main_thread() not in threads
    await credential.stop()
    await relay.stop()

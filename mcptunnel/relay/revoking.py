"""Revocation reaches the agents: they end the sessions that they have for a client."""

from collections.abc import Iterable
from typing import Final

from twisted.logger import Logger

from mcptunnel.model import ExchangeKind, Principal, RequestHead, ResponseHead
from mcptunnel.net.errors import printable
from mcptunnel.net.exchange import Exchange, ExchangeFailure, ExchangeReceiver
from mcptunnel.relay.devices import Devices
from mcptunnel.wire.errors import GoingAway, LocalProtocolError, TooManyStreams

AGENT_TARGET: Final = "@agent"
REVOKED_PATH: Final = "/revoked"

_log = Logger()


class RevokedOrder(ExchangeReceiver):
    """Tells one agent that a client may come no more; what it answers is for the log alone."""

    def __init__(self, device_name: str) -> None:
        self._name = device_name
        self.exchange: Exchange | None = None

    def head_received(self, head: ResponseHead) -> None:
        if head.status != 200:  # noqa: PLR2004 - RFC 9110, "OK"
            self._tell(f"it answered {head.status}")

    def data_received(self, data: bytes) -> None:
        if self.exchange is not None:
            self.exchange.consumed(len(data))

    def failed(self, failure: ExchangeFailure) -> None:
        self._tell(printable(failure.text))

    def _tell(self, why: str) -> None:
        _log.info("device {name} keeps a client's sessions: {why}", name=self._name, why=why)


def tell_agents(devices: Devices, gone: Iterable[tuple[Principal, str, str]]) -> None:
    """Tell agents whose access was taken away (`SessionOwners.revoked`)."""
    for principal, device_id, client in gone:
        device = devices.get(principal, device_id)
        if device is None or device.tunnel is None:
            continue
        head = RequestHead(
            AGENT_TARGET,
            "POST",
            REVOKED_PATH,
            principal=str(principal),
            client=client,
            kind=ExchangeKind.CONTROL,
        )
        order = RevokedOrder(device.name)
        try:
            order.exchange = device.tunnel.open(head, order)
        except (GoingAway, LocalProtocolError, TooManyStreams) as error:
            _log.info(
                "device {name} cannot be told of a revocation: {error}",
                name=device.name,
                error=str(error),
            )
        else:
            order.exchange.end()

"""The authorization server: all of its parts, made from what they share."""

from mcptunnel.relay.oauth.authorizing import Authorizing
from mcptunnel.relay.oauth.bearer import AccessTokenCheck
from mcptunnel.relay.oauth.client_login import ClientLogin
from mcptunnel.relay.oauth.clients import (
    ClientDirectory,
    ClientDocuments,
    KeySets,
    OwnKeys,
    PinnedDocuments,
)
from mcptunnel.relay.oauth.devices import DeviceGrants
from mcptunnel.relay.oauth.exchanging import TokenExchange
from mcptunnel.relay.oauth.giving_back import GivingBack
from mcptunnel.relay.oauth.registering import Registering
from mcptunnel.relay.oauth.settings import OAuthSettings
from mcptunnel.relay.oauth.surroundings import Surroundings


class AuthorizationServer:
    """One relay's authorization server.

    Without `documents` and `keys` nothing is fetched: only pinned documents and keys in metadata count.
    """

    def __init__(
        self,
        around: Surroundings,
        documents: ClientDocuments | None = None,
        keys: KeySets | None = None,
    ) -> None:
        self.settings: OAuthSettings = around.settings
        directory = ClientDirectory(around, documents or PinnedDocuments(around.settings.pinned))
        self.clients = ClientLogin(around, directory, keys or OwnKeys())
        self.authorizing = Authorizing(around, directory)
        self.tokens = TokenExchange(around)
        self.registering = Registering(around)
        self.giving_back = GivingBack(around)
        self.devices = DeviceGrants(around, directory)
        self.bearer = AccessTokenCheck(around.store, around.epoch_s)

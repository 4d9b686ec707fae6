"""What is particular about some providers; all others follow OpenID Connect Core to the letter."""

from dataclasses import dataclass
from typing import Final

from mcptunnel.auth.urls import split_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """`issuer_aliases` stand for the issuer in ID tokens. `domain_claim` names the organisation."""

    issuer_aliases: tuple[str, ...] = ()
    domain_claim: str | None = None
    verified_email_claim: str = "email_verified"
    tenant_in_issuer: bool = False


_USUAL: Final = Quirks()
_GOOGLE: Final = Quirks(issuer_aliases=("accounts.google.com",), domain_claim="hd")
"""Google Accounts: any e-mail may belong to an account there; `hd` is the Workspace domain that owns it."""
_ENTRA: Final = Quirks(verified_email_claim="xms_edov", tenant_in_issuer=True)
"""Microsoft Entra: an e-mail address is what an administrator typed, unless `xms_edov` says otherwise."""

_BY_HOST: Final = {
    "accounts.google.com": _GOOGLE,
    "login.microsoftonline.com": _ENTRA,
    "login.microsoftonline.us": _ENTRA,
    "login.partner.microsoftonline.cn": _ENTRA,
}


VERIFIED_CLAIMS: Final = frozenset({_USUAL.verified_email_claim, _ENTRA.verified_email_claim})
"""The claims that say of the `email` beside them that it is this person's."""


def quirks_of(issuer: str) -> Quirks:
    """Return what is particular about the provider with this issuer."""
    url = split_url(issuer)
    return _BY_HOST.get(url.host or "", _USUAL) if url else _USUAL

"""From claims to a user of the relay: who it is, and whether they may come in (threat 28).

A user is (issuer, value of the user claim). E-mail addresses, domains and groups only admit, at each
sign-in anew; they never identify.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcptunnel.auth.client_display import clean_text
from mcptunnel.auth.oidc.discovery import Provider
from mcptunnel.auth.oidc.errors import SignInError
from mcptunnel.auth.oidc.id_tokens import MAX_SUBJECT_CHARS
from mcptunnel.auth.oidc.providers import Quirks
from mcptunnel.model import Principal

DEFAULT_USER_CLAIM: Final = "sub"
DEFAULT_GROUPS_CLAIM: Final = "groups"
MAX_NAME_CHARS: Final = 100
_MAX_GROUPS: Final = 1000
_STANDARD: Final = Quirks()
_NAMES: Final = ("name", "preferred_username", "nickname", "email")


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """Who may come in: anyone who is in one of these; everybody whom the provider admits when all are empty."""

    users: Collection[str] = ()
    emails: Collection[str] = ()
    domains: Collection[str] = ()
    groups: Collection[str] = ()
    groups_claim: str = DEFAULT_GROUPS_CLAIM

    @property
    def is_open(self) -> bool:
        """Whether nobody is kept out, of which the start of the relay warns."""
        return not (self.users or self.emails or self.domains or self.groups)


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a person may come in, and why, as a sentence for the log (and, if not, for the person)."""

    allowed: bool
    reason: str


def principal_of(
    claims: Mapping[str, Any], provider: Provider, user_claim: str = DEFAULT_USER_CLAIM
) -> Principal:
    """Return the user whom verified claims are about. Raises SignInError.

    A claim that is an e-mail address has to be a verified one: else anybody could claim it.
    """
    value = claims.get(user_claim)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_SUBJECT_CHARS:
        raise SignInError(f"The provider does not tell the claim {user_claim!r} that names users")
    if not value.isprintable() or value != value.strip():
        raise SignInError(f"The claim {user_claim!r} cannot name a user")
    if user_claim == "email":
        verified = verified_email(claims, provider.quirks)
        if verified is None:
            raise SignInError("The provider has not verified your e-mail address")
        value = verified
    return Principal(provider.issuer, value)


def verified_email(claims: Mapping[str, Any], quirks: Quirks) -> str | None:
    """Return the e-mail address in lower case, if the provider says that it is this person's.

    One that only looks like ASCII in lower case (the sign for kelvin becomes a k) is another mailbox's.
    """
    email = claims.get("email")
    if not isinstance(email, str) or email.count("@") != 1 or not email.isprintable():
        return None
    if any(not char.isascii() and char.lower().isascii() for char in email):
        return None
    verified = claims.get(quirks.verified_email_claim)
    return email.lower() if verified in (True, "true", "1") else None


def shown_name(claims: Mapping[str, Any], principal: Principal) -> str:
    """Return what to call a person on pages. It is their own choice, so that it proves nothing."""
    for name in _NAMES:
        if shown := clean_text(claims.get(name), MAX_NAME_CHARS):
            return shown
    return clean_text(principal.subject, MAX_NAME_CHARS)


def wanted_claims(
    user_claim: str, scopes: Collection[str], allowed: AllowList, quirks: Quirks
) -> frozenset[str]:
    """Return the claims that are asked for at the userinfo endpoint when an ID token is without them."""
    wanted = {user_claim}
    if "profile" in scopes:
        wanted.add("name")
    if "email" in scopes or allowed.emails or allowed.domains:
        wanted.add("email")
        if quirks.verified_email_claim == _STANDARD.verified_email_claim:
            wanted.add(quirks.verified_email_claim)
    if allowed.groups:
        wanted.add(allowed.groups_claim)
    return frozenset(wanted)


def admit(
    claims: Mapping[str, Any], principal: Principal, allowed: AllowList, quirks: Quirks
) -> Admission:
    """Decide whether a person may come in; each list is enough by itself."""
    if allowed.is_open:
        return Admission(True, "Everybody may come in whom the provider admits")
    if principal.subject in allowed.users:
        return Admission(True, "The user is on the list")
    email = verified_email(claims, quirks)
    if email is not None and email in {one.lower() for one in allowed.emails}:
        return Admission(True, "The e-mail address is on the list")
    domain = _domain(claims, email, quirks)
    if domain is not None and domain in {one.lower().lstrip("@") for one in allowed.domains}:
        return Admission(True, "The domain is on the list")
    if not _groups(claims, allowed.groups_claim).isdisjoint(allowed.groups):
        return Admission(True, "A group is on the list")
    return Admission(False, _refusal(claims, email, allowed))


def _domain(claims: Mapping[str, Any], email: str | None, quirks: Quirks) -> str | None:
    if quirks.domain_claim is not None:
        domain = claims.get(quirks.domain_claim)
        return domain.lower() if isinstance(domain, str) else None
    return email.rpartition("@")[2] if email else None


def _groups(claims: Mapping[str, Any], name: str) -> set[str]:
    value = claims.get(name)
    if isinstance(value, str):
        return {value}
    listed = value[:_MAX_GROUPS] if isinstance(value, list) else []
    return {one for one in listed if isinstance(one, str)}


def _refusal(claims: Mapping[str, Any], email: str | None, allowed: AllowList) -> str:
    """Return what a person can do something about: the lists themselves are not told."""
    if allowed.groups and _has_too_many_groups(claims, allowed.groups_claim):
        return "You are in so many groups that the provider does not list them"
    if email is None and (allowed.emails or allowed.domains):
        return "You are not on the list, and the provider has not verified your e-mail address"
    return "You are not on the list of those who may come in"


def _has_too_many_groups(claims: Mapping[str, Any], name: str) -> bool:
    """Tell whether Entra left the groups out ("overage") and names another place for them instead."""
    elsewhere = claims.get("_claim_names")
    return claims.get("hasgroups") is True or (isinstance(elsewhere, dict) and name in elsewhere)

"""Every page, in every state that looks different; the names in them are those of a hostile world."""

from dataclasses import replace
from typing import Final

from mcptunnel.auth.client_display import ClientDisplay
from mcptunnel.auth.resources import can_be_read
from mcptunnel.relay.web.pages.asked import asked_endpoint
from mcptunnel.relay.web.pages.kinds import (
    AnyPage,
    ConsentPage,
    DeviceCodePage,
    DeviceConfirmPage,
    DeviceDone,
    IndexPage,
    InvitationPage,
    MessagePage,
    ProvidersDown,
    ResetPage,
    SetupPage,
    SignedOutPage,
    SignInPage,
)
from mcptunnel.relay.web.pages.messages import message_for

ORIGIN: Final = "https://relay.example.com"
CSRF: Final = "csrf-token"
PERSON: Final = "Jürgen Müßig 🦊"

SCRIPT: Final = "\"'><script>alert(1)</script>\u202eedualC"

VOUCHED: Final = ClientDisplay(
    name="Claude",
    vouched_by="claude.ai",
    verified=True,
    redirect_to="claude.ai",
    this_machine=False,
    only_this_machine=False,
)
CONFIGURED: Final = ClientDisplay(
    name="Haus-Automatik für Späße 🏡",
    vouched_by="",
    verified=True,
    redirect_to="automation.example.org",
    this_machine=False,
    only_this_machine=False,
)
UNVERIFIED: Final = ClientDisplay(
    name="Claude (really)",
    vouched_by="",
    verified=False,
    redirect_to="tools.example.net",
    this_machine=False,
    only_this_machine=False,
)
LOCAL: Final = ClientDisplay(
    name="Claude Code",
    vouched_by="claude.ai",
    verified=True,
    redirect_to="localhost",
    this_machine=True,
    only_this_machine=True,
)
PRIVATE: Final = ClientDisplay(
    name="Cursor",
    vouched_by="",
    verified=False,
    redirect_to="cursor:",
    this_machine=True,
    only_this_machine=False,
)
LONG: Final = ClientDisplay(
    name="W" * 80,
    vouched_by=".".join(["h" * 63] * 3),
    verified=True,
    redirect_to=".".join(["r" * 63] * 3),
    this_machine=False,
    only_this_machine=False,
)
HOSTILE: Final = replace(UNVERIFIED, name=SCRIPT)


def consent(
    client: ClientDisplay,
    path: str = "/mcp",
    scopes: tuple[str, ...] = ("mcp", "offline_access"),
    person: str = PERSON,
    held: tuple[str, ...] = (),
) -> ConsentPage:
    return ConsentPage(
        client=client,
        person=person,
        endpoint=asked_endpoint(ORIGIN + path),
        scopes=scopes,
        held=held,
        can_be_read=can_be_read(ORIGIN + path) and "mcp" in scopes,
        csrf=CSRF,
        request_id="request-1",
        sign_in_next="/authorize?request=request-1",
    )


def confirm(
    *,
    application: str = "mcptunnel agent",
    device_name: str = "Küchen-Laptop 💻",
    host_name: str = "kueche.fritz.box",
    address: str = "2001:db8::17",
) -> DeviceConfirmPage:
    return DeviceConfirmPage(
        application=application,
        person=PERSON,
        endpoint=asked_endpoint(f"{ORIGIN}/tunnel"),
        scopes=("agent", "offline_access"),
        csrf=CSRF,
        user_code="BCDF-GHJK",
        device_name=device_name,
        host_name=host_name,
        address=address,
        asked_s=1_795_187_520.0,
    )


PAGES: Final[dict[str, AnyPage]] = {
    "sign-in": SignInPage(csrf=CSRF, next="/authorize?request=1&x=2"),
    "sign-in-error": SignInPage(
        csrf=CSRF,
        next="/",
        username="jürgen",
        error="The user name or the password is not right.",
    ),
    "setup": SetupPage(csrf=CSRF, least_password_chars=12),
    "setup-errors": SetupPage(
        csrf=CSRF,
        least_password_chars=12,
        username="jürgen müßig",
        username_error="A user name has no spaces.",
        password_error="This password is too short.",
        again_error="The two passwords differ.",
    ),
    "reset": ResetPage(csrf=CSRF, least_password_chars=12, username="jürgen", name_is_fixed=True),
    "invitation": InvitationPage(csrf=CSRF, least_password_chars=12, invited_by=PERSON),
    "invitation-error": InvitationPage(
        csrf=CSRF,
        least_password_chars=12,
        invited_by=PERSON,
        username="anna",
        error="There is a user of this name already.",
    ),
    "consent-vouched": consent(VOUCHED),
    "consent-configured": consent(CONFIGURED, "/servers/K%C3%BCche/mcp", ("mcp",)),
    "consent-unverified": consent(UNVERIFIED, "/devices/laptop/servers/notes/mcp"),
    "consent-local": consent(LOCAL),
    "consent-private": consent(PRIVATE),
    "consent-long": consent(LONG, f"/devices/{'d' * 80}/servers/{'W' * 80}/mcp", person="W" * 80),
    "consent-hostile": consent(HOSTILE, "/servers/%3Cscript%3E/mcp", ("mcp", SCRIPT), SCRIPT),
    "consent-reading": consent(VOUCHED, scopes=("mcp:read",)),
    "consent-more": consent(VOUCHED, scopes=("mcp",), held=("mcp:read", "offline_access")),
    "consent-agent": consent(LOCAL, "/tunnel", ("agent", "offline_access")),
    "device-code": DeviceCodePage(csrf=CSRF, person=PERSON),
    "device-code-error": DeviceCodePage(
        csrf=CSRF, person=PERSON, user_code="BCDF-GHJX", error="This code is unknown or too old."
    ),
    "device-confirm": confirm(),
    "device-confirm-silent": confirm(device_name="", host_name="", address=""),
    "device-allowed": DeviceDone(allowed=True, device_name="Küchen-Laptop 💻"),
    "device-denied": DeviceDone(allowed=False),
    "message": MessagePage(
        title="The application asked in a way that is not safe",
        happened="The redirect URI is not one of those that “Claude” has registered.",
        next_step="Tell whoever makes the application.",
    ),
    "message-404": message_for(404),
    "message-429": message_for(429),
    "signed-out": SignedOutPage(sign_in="/login?next=/device"),
    "provider-down": ProvidersDown(provider="accounts.example.org", retry="/login?next=/"),
    "index": IndexPage(mcp_url=f"{ORIGIN}/mcp", mode="local", tunnel="connected", version="0.4.0"),
}

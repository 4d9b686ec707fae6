"""One dataclass per page: everything that it shows. What strangers chose is escaped and cleaned when it is shown.

The names of form fields are in the docstrings; `csrf` is a field of every form.
"""

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from mcptunnel.auth.client_display import ClientDisplay
from mcptunnel.relay.web.pages.asked import AskedEndpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPage:
    """The built-in login. Posts `csrf`, `next`, `username`, `password` to `/login`.

    `next` is a path of our own, checked. `error` is a sentence; the password is never shown again.
    """

    template: ClassVar[str] = "sign_in.html"
    csrf: str = field(repr=False)
    next: str
    username: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A person chooses a name and a password, or with `name_is_fixed` only that.

    `error` is about the form, the others about one field.
    """

    csrf: str = field(repr=False)
    least_password_chars: int
    username: str = ""
    name_is_fixed: bool = False
    error: str = ""
    username_error: str = ""
    password_error: str = ""
    again_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupPage(NewUser):
    """The first user. Posts `csrf`, `username`, `password`, `password_again` to `/setup`."""

    template: ClassVar[str] = "setup.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationPage(NewUser):
    """One more user. Posts `csrf`, `username`, `password`, `password_again` to `/invite`."""

    template: ClassVar[str] = "invitation.html"
    invited_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPage(NewUser):
    """Another password. Posts `csrf`, `username`, `password`, `password_again` to `/reset`."""

    template: ClassVar[str] = "reset.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentPage:
    """Whether a client may act for a person (threats 1 to 3).

    Posts `csrf`, `request` (`request_id`) and `decision` (`allow`, `deny`, and with `can_be_read`
    `read`: to read and no more) to `/consent`; "not you?" posts `csrf` and `next` (`sign_in_next`,
    where the person comes back to) to `/logout`. `held` are scopes that the client has already.
    `take_back` is a sentence: where to revoke it later. To be sent with the redirect's
    `form_action_source`.
    """

    template: ClassVar[str] = "consent.html"
    client: ClientDisplay
    person: str
    endpoint: AskedEndpoint
    scopes: tuple[str, ...]
    held: tuple[str, ...] = ()
    can_be_read: bool = False
    csrf: str = field(repr=False)
    request_id: str
    sign_in_next: str
    take_back: str = "Whoever runs this relay can take it back for you at any time."


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCodePage:
    """Where a person types the code that a program shows. Posts `csrf` and `user_code` to `/device`."""

    template: ClassVar[str] = "device_code.html"
    csrf: str = field(repr=False)
    person: str
    sign_in_next: str = "/device"
    user_code: str = field(default="", repr=False)
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfirmPage:
    """Whether a person started what shows the code (RFC 8628, 5.4).

    Posts `csrf`, `user_code` and `decision` (`allow` or `deny`) to `/device`; "not you?" as on the
    consent page. `application` is the client's name: only configured clients may ask this way.
    `device_name`, `host_name` and `address` are what the program said, or where it called from; "" if
    it did not say. `asked_s` is since the epoch.
    """

    template: ClassVar[str] = "device_confirm.html"
    application: str
    person: str
    endpoint: AskedEndpoint
    scopes: tuple[str, ...]
    csrf: str = field(repr=False)
    user_code: str = field(repr=False)
    device_name: str
    host_name: str
    address: str
    asked_s: float
    sign_in_next: str = "/device"
    take_back: str = "Whoever runs this relay can take it back for you at any time."


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDone:
    """The person has decided about a device."""

    template: ClassVar[str] = "device_done.html"
    allowed: bool
    device_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A way on; `href` is a path of our own, or was checked."""

    text: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    """What went wrong: `title`, then what happened, then what to do next. Each is whole sentences.

    `messages.message_for` has one for each status.
    """

    template: ClassVar[str] = "message.html"
    title: str
    happened: str
    next_step: str = ""
    link: Link | None = None
    other: Link | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOutPage:
    """The person is signed out. `sign_in` is the path to sign in again, with its `next`."""

    template: ClassVar[str] = "signed_out.html"
    sign_in: str = "/login"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvidersDown:
    """The sign-in provider cannot be reached. `provider` is its host, `retry` the path to try again.

    `back` is the path that leads back to the application, "" if none waits.
    """

    template: ClassVar[str] = "provider_down.html"
    provider: str
    retry: str
    back: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPage:
    """What this relay is, at `/`. `mode` is `auth.mode`: how an application is let in."""

    template: ClassVar[str] = "index.html"
    mcp_url: str
    mode: str
    tunnel: str
    version: str


AnyPage: TypeAlias = (
    SignInPage
    | SetupPage
    | InvitationPage
    | ResetPage
    | ConsentPage
    | DeviceCodePage
    | DeviceConfirmPage
    | DeviceDone
    | MessagePage
    | SignedOutPage
    | ProvidersDown
    | IndexPage
)

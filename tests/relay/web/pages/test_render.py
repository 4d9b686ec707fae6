"""Pages as HTML: valid, complete, and deaf to what strangers write into names."""

from collections.abc import Callable
from dataclasses import fields
from typing import get_args

import pytest
from jinja2 import UndefinedError

from mcptunnel.auth.client_display import MAX_SHOWN_CHARS, ClientDisplay
from mcptunnel.relay.web.pages import render
from mcptunnel.relay.web.pages.kinds import (
    AnyPage,
    DeviceDone,
    InvitationPage,
    MessagePage,
    ProvidersDown,
    SetupPage,
    SignInPage,
)
from mcptunnel.relay.web.pages.render import Pages
from tests.relay.web.pages import samples
from tests.relay.web.pages.html import fields_of, flaws, found, parse, text_of
from tests.relay.web.pages.samples import CSRF, ORIGIN, PAGES

SCRIPT = "<script>alert(1)</script>"
QUOTES = "\"'><img src=x onerror=alert(1)>"
BIDI = "safe\u202egnp.exe\u2066\u200b\u00ad"
BRACES = "{{ 7 * 7 }}{% raw %}"
HOSTILE = [SCRIPT, QUOTES, BIDI, BRACES, "a\nb\x00c\x1b[31m", "&lt;b&gt;", "💥" * 500]


def html_of(page: AnyPage) -> bytes:
    return Pages(ORIGIN).render(page)


def test_there_is_a_sample_of_every_page() -> None:
    assert {type(page) for page in PAGES.values()} == {*get_args(AnyPage)}


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_valid_and_usable(name: str) -> None:
    """Valid syntax; labels, landmarks, headings, languages; no script, no style, nothing from elsewhere."""
    tree = parse(html_of(PAGES[name]))
    assert not flaws(tree)
    for element in tree.iter():
        for key in ("src", "href", "action"):
            value = element.get(key)
            assert value is None or (value[0] == "/" and value[:2] != "//"), value


@pytest.mark.parametrize("name", PAGES)
def test_every_page_names_the_relay(name: str) -> None:
    tree = parse(html_of(PAGES[name]))
    assert "relay.example.com" in text_of(found(tree, "body/header"))
    assert text_of(found(tree, "head/title")).endswith("· relay.example.com")


def test_the_relay_is_shown_with_its_port() -> None:
    page = Pages("http://localhost:8787").render(PAGES["signed-out"])
    assert "localhost:8787" in text_of(found(parse(page), "body/header"))


def test_only_a_checked_url_makes_pages() -> None:
    with pytest.raises(ValueError, match="not checked"):
        Pages("relay.example.com")


@pytest.mark.parametrize("name", PAGES)
def test_every_form_is_protected(name: str) -> None:
    """Every form is posted, with the CSRF token."""
    for form in parse(html_of(PAGES[name])).iter("form"):
        assert form.get("method") == "post"
        assert fields_of(form)["csrf"] == CSRF


FORMS: list[tuple[str, str, dict[str, str]]] = [
    ("sign-in", "/login", {"next": "/authorize?request=1&x=2", "username": "", "password": ""}),
    (
        "setup",
        "/setup",
        {"username": "", "password": "", "password_again": ""},
    ),
    (
        "invitation",
        "/invite",
        {"username": "", "password": "", "password_again": ""},
    ),
    ("reset", "/reset", {"username": "jürgen", "password": "", "password_again": ""}),
    ("consent-vouched", "/consent", {"request": "request-1"}),
    ("device-code", "/device", {"user_code": ""}),
    ("device-confirm", "/device", {"user_code": "BCDF-GHJK"}),
]


@pytest.mark.parametrize(("name", "action", "fields"), FORMS)
def test_what_a_form_posts(name: str, action: str, fields: dict[str, str]) -> None:
    form = found(parse(html_of(PAGES[name])), f".//form[@action='{action}']")
    assert fields_of(form) == {"csrf": CSRF, **fields}


ALLOW, READ, DENY = (
    ("decision", "allow", "Allow"),
    ("decision", "read", "Allow reading only"),
    ("decision", "deny", "Deny"),
)


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("consent-vouched", [ALLOW, READ, DENY]),
        ("consent-more", [ALLOW, READ, DENY]),
        ("consent-reading", [ALLOW, DENY]),
        ("consent-configured", [ALLOW, DENY]),
        ("consent-agent", [ALLOW, DENY]),
        ("device-confirm", [ALLOW, DENY]),
    ],
)
def test_the_answers_are_buttons_of_one_form(name: str, offered: list[tuple[str, ...]]) -> None:
    """Less than what is asked for can be given where that can be told apart: not for one server."""
    (form,) = (
        one for one in parse(html_of(PAGES[name])).iter("form") if one.get("action") != "/logout"
    )
    (buttons_together,) = form.iterfind("div")
    buttons = [(one.get("name"), one.get("value"), text_of(one)) for one in buttons_together]
    assert buttons == offered


@pytest.mark.parametrize(
    ("name", "stands_out"),
    [
        ("consent-vouched", True),
        ("consent-configured", True),
        ("consent-unverified", False),
        ("consent-local", False),
        ("consent-private", False),
        ("device-confirm", False),
    ],
)
def test_allow_stands_out_only_without_a_doubt(name: str, stands_out: bool) -> None:
    tree = parse(html_of(PAGES[name]))
    assert (found(tree, ".//button[@value='allow']").get("class") == "main") is stands_out
    assert found(tree, ".//button[@value='deny']").get("class") is None


@pytest.mark.parametrize(
    ("name", "comes_back"),
    [
        ("consent-vouched", "/authorize?request=request-1"),
        ("device-code", "/device"),
        ("device-confirm", "/device"),
    ],
)
def test_somebody_else_can_sign_out(name: str, comes_back: str) -> None:
    tree = parse(html_of(PAGES[name]))
    form = found(tree, ".//form[@action='/logout']")
    assert fields_of(form) == {"csrf": CSRF, "next": comes_back}
    assert "Jürgen Müßig 🦊" in text_of(found(tree, "body/main"))


def test_passwords_are_for_password_stores() -> None:
    """The right `autocomplete` for each, and what was typed is not shown again."""
    for name, wanted in (
        ("sign-in-error", ["username", "current-password"]),
        ("setup-errors", ["username", "new-password", "new-password"]),
        ("invitation-error", ["username", "new-password", "new-password"]),
    ):
        inputs = [
            one
            for one in parse(html_of(PAGES[name])).iter("input")
            if one.get("type") in ("text", "password")
        ]
        assert [one.get("autocomplete") for one in inputs] == wanted
        assert not any(one.get("value") for one in inputs if one.get("type") == "password")
        assert inputs[0].get("value")


def test_errors_belong_to_their_fields() -> None:
    tree = parse(html_of(PAGES["setup-errors"]))
    for name, error in (
        ("username", "A user name has no spaces."),
        ("password", "This password is too short."),
        ("password_again", "The two passwords differ."),
    ):
        field = found(tree, f".//input[@name='{name}']")
        assert field.get("aria-invalid") == "true"
        assert f"{name}-error" in (field.get("aria-describedby") or "").split()
        assert text_of(found(tree, f".//*[@id='{name}-error']")) == f"Error: {error}"
    assert text_of(found(tree, "head/title")).startswith("Error: ")


def test_an_error_of_the_whole_form_is_an_alert() -> None:
    tree = parse(html_of(PAGES["sign-in-error"]))
    alert = found(tree, ".//*[@role='alert']")
    assert text_of(alert) == "The user name or the password is not right."
    for name in ("username", "password"):
        field = found(tree, f".//input[@name='{name}']")
        assert field.get("aria-describedby") == alert.get("id")


@pytest.mark.parametrize(
    ("name", "focused"),
    [
        ("sign-in", "username"),
        ("sign-in-error", "password"),
        ("setup", "username"),
        ("reset", "password"),
        ("setup-errors", "password"),
        ("device-code", "user_code"),
        ("consent-vouched", None),
        ("device-confirm", None),
    ],
)
def test_where_typing_begins(name: str, focused: str | None) -> None:
    """At what is to be typed; and no key that was meant for another page decides anything."""
    tree = parse(html_of(PAGES[name]))
    assert [one.get("name") for one in tree.iter() if one.get("autofocus") is not None] == (
        [focused] if focused else []
    )


CONSENT = [
    ("consent-vouched", "Described by claude.ai", True),
    ("consent-vouched", "Sends you back to claude.ai", True),
    ("consent-vouched", "all servers of all your devices", True),
    ("consent-vouched", "Stay connected", True),
    ("consent-vouched", "unverified", False),
    ("consent-vouched", "this computer", False),
    ("consent-configured", "Known to this relay", True),
    ("consent-configured", "the server “Küche”", True),
    ("consent-configured", "Stay connected", False),
    ("consent-unverified", "unverified", True),
    ("consent-unverified", "Do you know tools.example.net?", True),
    ("consent-unverified", "the server “notes” of your device “laptop”", True),
    ("consent-local", "Did you start this yourself?", True),
    ("consent-local", "that you trust. Nobody but you can tell who asks.", True),
    ("consent-local", "a program on this computer", True),
    ("consent-private", "Did you start this yourself?", True),
    ("consent-private", "Nobody but you", False),
    ("consent-private", "cursor: a program on this computer", True),
    ("consent-private", "unverified", True),
    ("consent-vouched", "It can already", False),
    ("consent-more", "It can already See what", True),
    ("consent-more", "This is new: it could then Use the tools", True),
    ("consent-more", "change or delete", True),
    ("consent-reading", "It could then See what", True),
    ("consent-reading", "change or delete", False),
    ("consent-agent", "connect a device", True),
    ("consent-agent", "acts in your name", False),
    ("consent-agent", "all servers of all your devices", False),
    ("device-confirm", "BCDF-GHJK", True),
    ("device-confirm", "Küchen-Laptop 💻", True),
    ("device-confirm", "kueche.fritz.box", True),
    ("device-confirm", "2001:db8::17", True),
    ("device-confirm", "mcptunnel agent", True),
    ("device-confirm", "20 November 2026, 15:12 UTC", True),
    ("device-confirm-silent", "Host name, as it says not said", True),
    ("device-allowed", "Küchen-Laptop 💻 is being connected", True),
    ("device-denied", "got no access", True),
    ("invitation", "Jürgen Müßig 🦊 invites you to relay.example.com", True),
    ("message-404", "There is nothing here", True),
    ("provider-down", "accounts.example.org", True),
    ("index", "https://relay.example.com/mcp", True),
]


@pytest.mark.parametrize(("name", "text", "is_there"), CONSENT)
def test_what_a_person_is_told(name: str, text: str, is_there: bool) -> None:
    """Threat 3: who asks, who says so, for what, where the answer goes."""
    main = text_of(found(parse(html_of(PAGES[name])), "body/main"))
    assert (text in main) is is_there, main


def named(name: str) -> list[AnyPage]:
    """Every page that shows a name which a stranger chose."""
    client = ClientDisplay(
        name=name,
        vouched_by="",
        verified=False,
        redirect_to="example.net",
        this_machine=False,
        only_this_machine=False,
    )
    return [
        SignInPage(csrf=CSRF, next="/", username=name),
        SetupPage(csrf=CSRF, least_password_chars=8, username=name),
        InvitationPage(csrf=CSRF, least_password_chars=8, invited_by=name),
        samples.consent(client, person=name, scopes=("mcp", name)),
        samples.confirm(application=name, device_name=name, host_name=name, address=name),
        DeviceDone(allowed=True, device_name=name),
        MessagePage(title=name, happened=name, next_step=name),
        ProvidersDown(provider=name, retry="/login"),
    ]


@pytest.mark.parametrize("name", [SCRIPT, QUOTES, BRACES, "&lt;b&gt;"])
def test_names_are_text_and_nothing_else(name: str) -> None:
    """Threat 11: markup and templates in names come out as they are, and add no element."""
    for hostile, harmless in zip(named(name), named("x"), strict=True):
        tree = parse(html_of(hostile))
        assert [one.tag for one in tree.iter()] == [
            one.tag for one in parse(html_of(harmless)).iter()
        ]
        values = [one.get("value", "") for one in tree.iter("input")]
        assert name in " ".join([text_of(tree), *values])


@pytest.mark.parametrize("name", HOSTILE)
def test_names_cannot_pretend(name: str) -> None:
    """Threat 3: no control or direction marks, nothing endless, and each name keeps its direction to itself."""
    consent, confirm, done = (named(name)[at] for at in (3, 4, 5))
    for page in (consent, confirm, done):
        tree = parse(html_of(page))
        text = "".join(tree.itertext())
        assert not {"\u202e", "\u2066", "\u200b", "\u00ad", "\x00", "\x1b"} & {*text}
        for shown in tree.iter("bdi"):
            assert len(text_of(shown)) <= MAX_SHOWN_CHARS
        assert [*tree.iter("bdi")]


def test_what_is_not_given_is_an_error() -> None:
    """A template that asks for what a page does not have fails in a test, and shows nothing half."""
    environment = render._environment()
    with pytest.raises(UndefinedError):
        environment.from_string("{{ nothing }}").render()
    with pytest.raises(UndefinedError):
        environment.from_string("{{ page.nothing }}").render(page=PAGES["index"])


def test_every_template_escapes() -> None:
    environment = render._environment()
    assert environment.autoescape is True
    for name in environment.list_templates():
        source, _, _ = environment.loader.get_source(environment, name)  # type: ignore[union-attr] # it has one
        assert "|safe" not in source.replace(" ", "")
        assert "autoescape" not in source


def test_secrets_do_not_show_in_a_log() -> None:
    """A page may end up in a traceback; its tokens must not."""
    for page in PAGES.values():
        for one in fields(page):
            if one.name in ("csrf", "user_code") and getattr(page, one.name):
                assert getattr(page, one.name) not in repr(page)


@pytest.mark.parametrize(
    ("shows", "value", "wanted"),
    [
        (render.time_shown, 0.0, "1 January 1970, 00:00 UTC"),
        (render.timestamp, 0.0, "1970-01-01T00:00:00+00:00"),
        (render.shown, "a\u202eb", "ab"),
        (render.shown, None, ""),
    ],
)
def test_how_values_are_shown(shows: Callable[[object], str], value: object, wanted: str) -> None:
    assert shows(value) == wanted

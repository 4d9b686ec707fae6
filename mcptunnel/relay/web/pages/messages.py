"""The pages that say why there is no other one."""

from dataclasses import replace
from typing import Final

from mcptunnel.relay.web.pages.kinds import Link, MessagePage

_MESSAGES: Final = {
    400: MessagePage(
        title="This request cannot be used",
        happened="Something in the address or in the form is missing or wrong.",
        next_step="Start again in the application that sent you here.",
    ),
    403: MessagePage(
        title="This was not accepted",
        happened="The form did not come from this page, or it was open for too long.",
        next_step="Go back, reload the page and try again.",
    ),
    404: MessagePage(
        title="There is nothing here",
        happened="This relay has no page at this address.",
        next_step="Look whether the address is complete.",
        link=Link(text="About this relay", href="/"),
    ),
    405: MessagePage(
        title="This page can only be opened",
        happened="The browser sent something that this page does not take.",
        next_step="Go back and try again.",
    ),
    410: MessagePage(
        title="This link is no longer valid",
        happened="It was used before, or it is too old.",
        next_step="Ask for a new one.",
    ),
    413: MessagePage(
        title="That was too much",
        happened="The form is larger than this relay reads.",
        next_step="Go back and shorten what you typed.",
    ),
    421: MessagePage(
        title="This relay has another name",
        happened="The host name in the address is not one that this relay answers to.",
        next_step="Open the address that whoever runs the relay gave you.",
    ),
    429: MessagePage(
        title="Too many attempts",
        happened="There were too many attempts in a short time.",
        next_step="Wait a little, then try again.",
    ),
    500: MessagePage(
        title="Something went wrong here",
        happened="This relay made a mistake; it is noted in its log.",
        next_step="Try again. If it stays so, tell whoever runs the relay.",
    ),
    503: MessagePage(
        title="Not right now",
        happened="This relay is starting anew, or has too much to do.",
        next_step="Try again in a minute.",
    ),
}


def message_for(
    status: int, *, happened: str = "", next_step: str = "", link: Link | None = None
) -> MessagePage:
    """Return the page for an HTTP status, with better sentences if they are given.

    Raises KeyError for a status that no page is sent with.
    """
    page = _MESSAGES[status]
    return replace(
        page,
        happened=happened or page.happened,
        next_step=next_step or page.next_step,
        link=link or page.link,
    )

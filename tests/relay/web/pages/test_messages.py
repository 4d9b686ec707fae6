"""The pages that say why there is no other one."""

import pytest

from mcptunnel.relay.web.pages.kinds import Link
from mcptunnel.relay.web.pages.messages import message_for

STATUSES = [400, 403, 404, 405, 410, 413, 421, 429, 500, 503]


@pytest.mark.parametrize("status", STATUSES)
def test_a_message_says_what_happened_and_what_to_do(status: int) -> None:
    page = message_for(status)
    assert page.title
    assert page.happened.endswith(".")
    assert page.next_step.endswith(".")


def test_a_better_sentence_takes_its_place() -> None:
    link = Link(text="Start again", href="/device")
    page = message_for(410, happened="The code is too old.", next_step="Get one.", link=link)
    assert (page.happened, page.next_step, page.link) == ("The code is too old.", "Get one.", link)
    assert page.title == message_for(410).title


def test_no_page_for_a_status_without_one() -> None:
    with pytest.raises(KeyError):
        message_for(200)

"""Who signed in, whichever way they did."""

from dataclasses import dataclass

from mcptunnel.model import Principal


@dataclass(frozen=True, slots=True)
class Person:
    """A user who has just proved who they are.

    `display_name` is one line that is safe to show. `email` is a verified address, or None.
    """

    principal: Principal
    display_name: str
    email: str | None

"""After signing in nobody ends up elsewhere."""

import pytest

from mcptunnel.auth.next_paths import MAX_CHARS, next_path


@pytest.mark.parametrize(
    "path",
    ["/", "/device", "/authorize?request=a1&x=%2F%2Fevil", "/dashboard/a~b", "/loginx", "/a//b"],
)
def test_a_path_of_our_own(path: str) -> None:
    assert next_path(path) == path


@pytest.mark.parametrize(
    "wanted",
    [
        None,
        "",
        "device",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "https://evil.example",
        "https:evil",
        "javascript:alert(1)",
        "/a\\b",
        "/a\r\nset-cookie: x=y",
        "/a b",
        "/ü",
        "/a#b",
        "/" + "x" * MAX_CHARS,
    ],
)
def test_threat_4_anything_else_is_not_followed(wanted: str | None) -> None:
    assert next_path(wanted) == "/"


@pytest.mark.parametrize("path", ["/login", "/login?next=/login", "/logout", "/callback?code=x"])
def test_a_sign_in_does_not_lead_into_another(path: str) -> None:
    assert next_path(path) == "/"

"""Which endpoint is where."""

from tests.relay.web.login.site import LoginSite, ProviderSite, Visitor


def test_the_built_in_login(site: LoginSite) -> None:
    statuses = {
        path: Visitor(site).get(path).status
        for path in ("/login", "/logout", "/setup", "/invite", "/reset", "/callback")
    }
    assert statuses == {
        "/login": 200,
        "/logout": 405,
        "/setup": 410,
        "/invite": 410,
        "/reset": 410,
        "/callback": 404,
    }


def test_a_provider(provider_site: ProviderSite) -> None:
    statuses = {
        path: Visitor(provider_site).get(path).status
        for path in ("/login", "/logout", "/callback", "/setup", "/invite", "/reset")
    }
    assert statuses == {
        "/login": 303,
        "/logout": 405,
        "/callback": 403,
        "/setup": 404,
        "/invite": 404,
        "/reset": 404,
    }

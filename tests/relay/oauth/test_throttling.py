"""What may be done later says when."""

from mcptunnel.relay.oauth.throttling import BusyError


def test_it_says_when_and_whose_fault_it_is() -> None:
    error = BusyError("full", 5.0)
    assert (str(error), error.retry_after_s, error.is_fault_of_client) == ("full", 5.0, False)
    assert BusyError("slow", 1.0, is_fault_of_client=True).is_fault_of_client

from mcptunnel.agent.servers.restarts import LONGEST_DELAY_S, RestartPolicy


def test_ends_in_a_row_are_waited_for_longer_and_longer_up_to_half_a_minute() -> None:
    policy = RestartPolicy()
    delays_s = []
    for _ in range(12):
        policy.started(0.0)
        delays_s.append(policy.ended(1.0))
    assert delays_s[:4] == [0.1, 0.2, 0.4, 0.8]
    assert delays_s[-2:] == [LONGEST_DELAY_S, LONGEST_DELAY_S] == [30.0, 30.0]


def test_a_server_that_ran_for_a_minute_is_back_at_once() -> None:
    policy = RestartPolicy()
    for _ in range(5):
        policy.started(0.0)
        policy.ended(59.9)
    policy.started(100.0)
    assert policy.ended(160.0) == 0.1

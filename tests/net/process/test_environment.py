from mcptunnel.net.process import child_environment


def test_only_the_allow_list_is_inherited() -> None:
    base = {
        "HOME": "/home/u",
        "PATH": "/bin",
        "LC_ALL": "C",
        "XDG_RUNTIME_DIR": "/run/u",
        "AWS_SECRET_ACCESS_KEY": "s",
        "LD_PRELOAD": "x.so",
    }
    assert child_environment(base, {}) == {
        "HOME": "/home/u",
        "PATH": "/bin",
        "LC_ALL": "C",
        "XDG_RUNTIME_DIR": "/run/u",
    }


def test_configured_variables_win_over_inherited_ones() -> None:
    assert child_environment({"PATH": "/bin"}, {"PATH": "/opt", "TOKEN": "t"}) == {
        "PATH": "/opt",
        "TOKEN": "t",
    }


def test_our_own_variables_never_reach_a_child() -> None:
    ours = {"MCPTUNNEL_CONFIG": "secret"}
    assert child_environment(ours, ours) == {}


def test_exported_shell_functions_are_left_behind() -> None:
    assert child_environment({"LC_X": "() { :; }"}, {}) == {}

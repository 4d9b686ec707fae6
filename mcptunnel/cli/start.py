"""Where the `mcptunnel` command starts: importing it takes a tenth of a second."""

import signal


def run() -> None:
    """Run the command. Ctrl-C before there is anything to clean up ends the process silently."""
    earlier = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from mcptunnel.cli.main import main  # noqa: PLC0415 - after the line above

    signal.signal(signal.SIGINT, earlier)
    main()

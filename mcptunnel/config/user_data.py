"""Where the data of the user are who runs us."""

from pathlib import Path

from platformdirs import user_data_path

from mcptunnel.config.errors import InvalidValueError


def user_data() -> Path:
    """Return the directory of this program in the user's data directory.

    Raises `InvalidValueError` for a user without a home, as containers have them.
    """
    try:
        return user_data_path("mcptunnel", appauthor=False)
    except RuntimeError as error:
        raise InvalidValueError(
            "HOME is not set, and this user has no home directory", "Set HOME or XDG_DATA_HOME."
        ) from error

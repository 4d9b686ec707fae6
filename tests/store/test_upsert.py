"""One INSERT for two databases."""

from sqlalchemy import Connection, select

from mcptunnel.store.database import Database
from mcptunnel.store.people.tables import local_password
from mcptunnel.store.upsert import insert_into


def test_a_conflict_is_passed_over_or_changes_the_row(database: Database) -> None:
    """Both forms mean the same in both databases."""

    def change(connection: Connection) -> list[float]:
        for time_s in (1.0, 2.0):
            connection.execute(
                insert_into(connection, local_password)
                .values(subject="kept", argon2="$argon2", changed_s=time_s)
                .on_conflict_do_nothing()
            )
            connection.execute(
                insert_into(connection, local_password)
                .values(subject="newest", argon2="$argon2", changed_s=time_s)
                .on_conflict_do_update(index_elements=["subject"], set_={"changed_s": time_s})
            )
        query = select(local_password.c.changed_s).order_by(local_password.c.subject)
        return list(connection.execute(query).scalars())

    assert database.write(change) == [1.0, 2.0]

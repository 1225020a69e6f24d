"""Schema: the tables on a server, made and brought up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorflow.store.postgres.driver import psycopg_module, shown, store_error
from actorflow.store.statements import check_current, migrations, outdated

if TYPE_CHECKING:
    import psycopg

    from actorflow.store.transaction import Access

MIGRATIONS: Final = migrations("actorflow.store.postgres")
VERSION: Final = len(MIGRATIONS)
LOCK: Final = 0x6163746F72666C6F  # "actorflo", of the server's advisory locks


def prepare(connection: psycopg.Connection[Any], url: str, access: Access) -> int:
    """Bring the tables to this version, or see that they have it; return the version that they had.

    Each number is one transaction, of one process at a time.

    Raises:
        DefinitionError: they are not there, and are not to be made.
        StoreError: they are newer than this code, or this user may not make them; or older, and not to be updated.
    """
    try:
        found = version_of(connection, url)
        if access != "migrate":
            check_current(shown(url), found, VERSION)
        if found == VERSION:
            return found
        for number, sql in MIGRATIONS:
            with connection.transaction():
                connection.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
                if version_of(connection, url) < number:
                    connection.execute(sql.encode())
                    connection.execute("update actorflow.meta set value = %s where key = 'version'", (number,))
    except psycopg_module().Error as error:
        raise store_error(url, error) from error
    return found


def version_of(connection: psycopg.Connection[Any], url: str) -> int:
    """Return the version of the tables; 0 without any."""
    # Not to_regclass: it looks into a cache of names, which does not learn of what was made during the wait for a lock.
    exists = "select 1 from pg_catalog.pg_tables where schemaname = 'actorflow' and tablename = 'meta'"
    if connection.execute(exists).fetchone() is None:
        return 0
    row = connection.execute("select value from actorflow.meta where key = 'version'").fetchone()
    version = int(row[0]) if row is not None else 0
    if version > VERSION:
        raise outdated(shown(url), version, VERSION)
    return version

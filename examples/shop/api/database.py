"""Products and orders in PostgreSQL. One connection a call: a restarted database needs no care here."""

import os
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

DATABASE_URL = os.environ["DATABASE_URL"]
SCHEMA = Path(__file__).with_name("schema.sql")


def query(sql: str, *values: Any) -> list[dict[str, Any]]:
    with psycopg.connect(DATABASE_URL, connect_timeout=20, row_factory=dict_row) as connection:
        cursor = connection.execute(sql, values)
        return cursor.fetchall() if cursor.description else []


def prepare(patience_s: float = 30.0) -> None:
    """Create the tables. A database that does not answer in time is an error."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return _create()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise
            print(f"waiting for the database: {error}", flush=True)
            time.sleep(0.5)


def _create() -> None:
    """The lock lets several instances start at once."""
    with psycopg.connect(DATABASE_URL, connect_timeout=20) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(1)")
        connection.execute(SCHEMA.read_text())


def products() -> list[dict[str, Any]]:
    return query("SELECT id, name, cents FROM products ORDER BY id")


def orders() -> list[dict[str, Any]]:
    """The last ten, newest first."""
    return query(
        "SELECT orders.id, products.name AS product, status FROM orders JOIN products ON products.id = product_id"
        " ORDER BY orders.id DESC LIMIT 10"
    )


def order(number: int) -> dict[str, Any] | None:
    found = query("SELECT id, product_id AS product, status FROM orders WHERE id = %s", number)
    return found[0] if found else None


def add_order(product: int | None) -> int:
    """Raises `psycopg.errors.ForeignKeyViolation` when there is no such product."""
    return query("INSERT INTO orders (product_id) VALUES (%s) RETURNING id", product)[0]["id"]


def remove_order(number: int) -> None:
    query("DELETE FROM orders WHERE id = %s", number)

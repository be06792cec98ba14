"""Creates what the notes need, once; again changes nothing."""

import os

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=5) as connection:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS notes ("
        " id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " text text NOT NULL CHECK (text <> ''),"
        " written_at timestamptz NOT NULL DEFAULT now())"
    )

print("the table of notes is there")

"""The shop's HTTP interface."""

import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import redis
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

import database

# A connection that has been idle may have been closed meanwhile, as Redis was replaced: then once more, on a new one.
CONNECTIONS = {"socket_timeout": 20, "retry_on_error": [redis.ConnectionError]}
cache = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True, **CONNECTIONS)


@asynccontextmanager
async def prepared(app: FastAPI) -> AsyncIterator[None]:
    database.prepare()
    yield


app = FastAPI(title="Shop", lifespan=prepared)


class NewOrder(BaseModel):
    product: int


@app.exception_handler(psycopg.OperationalError)
@app.exception_handler(redis.RedisError)
def unavailable(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=503)


@app.get("/health")
def health() -> dict[str, bool]:
    """Healthy means useful: both services answer."""
    database.query("SELECT 1")
    cache.ping()
    return {"ok": True}


@app.get("/api/products")
def products() -> list[dict[str, Any]]:
    kept = cache.get("products")
    if kept:
        return json.loads(kept)
    found = database.products()
    cache.set("products", json.dumps(found), ex=5)
    return found


@app.post("/api/visits")
def visit() -> dict[str, int]:
    return {"visits": cache.incr("visits")}


@app.get("/api/orders")
def orders() -> list[dict[str, Any]]:
    return database.orders()


@app.get("/api/orders/{number}")
def order(number: int) -> dict[str, Any]:
    found = database.order(number)
    if found is None:
        raise HTTPException(404, f"there is no order {number}")
    return found


@app.post("/api/orders", status_code=201)
def place(new: NewOrder) -> dict[str, Any]:
    try:
        number = _place(new.product)
    except psycopg.errors.ForeignKeyViolation as error:
        raise HTTPException(404, f"there is no product {new.product}") from error
    return {"id": number, "product": new.product, "status": "new"}


@app.get("/api/status")
def status(response: Response) -> dict[str, bool]:
    """What works, from asking each part for something; the worker is asked to process an order."""
    state = {"api": True, "database": _database_works(), "cache": _cache_works()}
    state["worker"] = state["database"] and state["cache"] and _worker_works()
    response.status_code = 200 if all(state.values()) else 503
    return state


def _place(product: int | None) -> int:
    number = database.add_order(product)
    cache.rpush("orders", number)
    return number


def _database_works() -> bool:
    try:
        return bool(database.products())
    except psycopg.Error:
        return False


def _cache_works() -> bool:
    try:
        return bool(cache.ping())
    except redis.RedisError:
        return False


def _worker_works(patience_s: float = 3.0) -> bool:
    deadline = time.monotonic() + patience_s
    try:
        number = _place(None)
        processed = False
        while not processed and time.monotonic() < deadline:
            time.sleep(0.02)
            found = database.order(number)
            processed = found is not None and found["status"] == "processed"
        database.remove_order(number)
    except (psycopg.Error, redis.RedisError):
        return False
    return processed

"""Takes texts and shows what was counted."""

import redis
from flask import Flask, abort, request

import queue_store

app = Flask(__name__)


@app.errorhandler(redis.RedisError)
def unavailable(error: Exception):
    return {"error": str(error)}, 503


@app.get("/")
def about():
    """`prepared` tells that the release has run."""
    return {"send": "POST /texts", "prepared": bool(queue_store.ignored())}


@app.get("/health")
def health():
    queue_store.store.ping()
    return {"ok": True}


@app.post("/texts")
def submit():
    text = request.get_data(as_text=True)
    if not text.strip():
        abort(400, "send a text")
    return {"id": queue_store.submit(text)}, 202


@app.get("/texts/<number>")
def result(number: str):
    found = queue_store.result(number)
    return found or ({"error": "not found"}, 404)

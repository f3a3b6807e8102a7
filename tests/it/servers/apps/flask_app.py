"""Flask with its own server, or behind gunicorn. Word: trusted."""

import sys

from flask import Flask, Response, abort, jsonify, redirect, request

app = Flask(__name__)
if "trusted" in sys.argv:
    app.config["TRUSTED_HOSTS"] = ["www.example.com"]


@app.get("/health/")
def health():
    return jsonify(status="ok")


@app.post("/post")
def post():
    return "ok"


@app.get("/private")
def private():
    return redirect("/auth/login?next=/private")


@app.get("/basic")
def basic():
    return Response("Unauthorized Access", 401, {"WWW-Authenticate": 'Basic realm="app"'})


@app.get("/maintenance")
def maintenance():
    abort(503, "Down for maintenance")


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)

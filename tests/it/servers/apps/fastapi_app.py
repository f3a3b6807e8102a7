"""FastAPI on uvicorn. Words: trusted, https, exempt, ipv6, tls."""

import sys

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from fastapi.middleware.httpsredirect import HTTPSRedirectMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import PlainTextResponse
from fastapi.security import HTTPBasic

app = FastAPI()
if "trusted" in sys.argv:
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["www.example.com"])
if "https" in sys.argv:
    app.add_middleware(HTTPSRedirectMiddleware)

if "exempt" in sys.argv:

    @app.middleware("http")
    async def exempt(request, call_next):
        return PlainTextResponse("ok") if request.url.path == "/health/" else await call_next(request)


@app.get("/health/")
async def health():
    return {"status": "ok"}


@app.get("/basic", dependencies=[Depends(HTTPBasic())])
async def basic():
    return {}


@app.get("/query")
async def query(tenant: str):
    return {}


@app.post("/post")
async def post():
    return {}


@app.get("/down")
async def down():
    raise HTTPException(503, "the queue is full")


@app.get("/empty", status_code=204)
async def empty():
    pass


tls = {"ssl_certfile": "cert.pem", "ssl_keyfile": "key.pem"} if "tls" in sys.argv else {}
uvicorn.run(app, host="::1" if "ipv6" in sys.argv else "127.0.0.1", port=int(sys.argv[1]), **tls)

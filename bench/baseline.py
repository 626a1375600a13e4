"""What durable intake is compared with: a bare Starlette endpoint that parses the JSON and answers at once.

It runs under the gateway's uvicorn with the gateway's settings: uvloop, httptools, no access log, no date and server
header. It checks nothing, keeps nothing and makes no ids.
"""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PATH = "/in/app"


async def take(request: Request) -> Response:
    await request.json()
    return JSONResponse({"ok": True}, status_code=202)


async def healthz(_request: Request) -> Response:
    return JSONResponse({"ok": True})


def main() -> None:
    app = Starlette(routes=[Route(PATH, take, methods=["POST"]), Route("/healthz", healthz)])
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
    )


if __name__ == "__main__":
    main()

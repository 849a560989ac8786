"""A web application that pushes jobs; its worker is another process. Any WSGI server and framework will do.

python web.py 8000              # serves, and pushes
goscheds worker web:scheduler   # runs the jobs

curl -X POST 'localhost:8000/receipts?order=7'     # 202, and the job's id
curl localhost:8000/jobs/ID                        # where it stands
"""

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import make_server

from goscheds import GoschedsError, Scheduler

scheduler = Scheduler("sqlite:///jobs.db", namespace="web")


@scheduler.job(queue="mail")
def send_receipt(order: int) -> str:
    return f"receipt {order} sent"


def answer(method: str, path: str, query: dict[str, list[str]]) -> tuple[str, dict[str, Any]]:
    """The status and the JSON for a request."""
    match method, path.strip("/").split("/"):
        case "POST", ["receipts"]:
            return "202 Accepted", {"job": send_receipt.push(order=int(query["order"][0]))}
        case "GET", ["jobs", id]:
            info = scheduler.get(id)
            return "200 OK", {"state": info.state, "result": info.result, "error": info.error}
    return "404 Not Found", {"error": f"There is no {path}."}


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    try:
        query = parse_qs(environ["QUERY_STRING"])
        status, body = answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], query)
    except (KeyError, ValueError) as error:
        status, body = "400 Bad Request", {"error": f"{type(error).__name__}: {error}"}
    except GoschedsError as error:  # an unknown job; a store that is away
        status, body = "404 Not Found", {"error": str(error)}
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


if __name__ == "__main__":
    with make_server("127.0.0.1", int(sys.argv[1]), app) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()

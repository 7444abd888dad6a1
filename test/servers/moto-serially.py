"""moto's server, answering one request at a time: moto looks whether an object is there and then stores it, and two
requests at once would both find nothing. Bodies are read before, so that a slow client holds up nobody else."""
import io
import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

inner = DomainDispatcherApplication(create_backend_app)
turn = threading.Lock()


def serially(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length)
    if len(body) < length:
        start_response("400 Bad Request", [])
        return []
    environ["wsgi.input"] = io.BytesIO(body)
    with turn:
        return list(inner(environ, start_response))


run_simple("127.0.0.1", int(sys.argv[1]), serially, threaded=True)

"""A small MCP server with nothing but the standard library, for tests.

Over stdio it speaks one JSON message a line; with --http it serves POST /mcp on a port of 127.0.0.1 and
says on its first line of output where. Answers are JSON, or streams of events with --sse.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PROTOCOLS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
PAGE = 4


def tool(name, description, **properties):
    schema = {"type": "object", "properties": properties}
    required = [key for key, value in properties.items() if value.pop("required", False)]
    if required:
        schema["required"] = required
    return {"name": name, "description": description, "inputSchema": schema}


TOOLS = [
    tool("echo", "Says it again.", text={"type": "string", "required": True}),
    tool("pid", "The process id of the server."),
    tool("slow", "Takes very long."),
    tool("stuck", "Lets the whole server hang."),
    tool("fail", "Fails, and says so."),
    tool("refuse", "Is refused by the protocol."),
    tool("die", "Ends the server during the call."),
    tool("flood", "Says very much.", chars={"type": "integer", "required": True}),
    tool("picture", "An image and a text."),
    tool("tell", "Tells what it was told in confidence."),
    tool("environment", "The names of its environment variables."),
    tool("offspring", "Starts a process that does nothing, and says its id."),
    tool("grow", "Gets one more tool and says so."),
    tool("noise", "Writes to standard error and nonsense to standard output."),
    tool("odd.name/of:tool", "Has a name that providers do not take."),
]


class Server:
    """The protocol, apart from how messages travel."""

    def __init__(self, args, notify):
        self.args = args
        self.notify = notify
        self.initialized = False
        self.tools = list(TOOLS)
        self.headers = {}

    def answer(self, message):
        """The answer to one message; None to a notification."""
        method, number, params = message.get("method"), message.get("id"), message.get("params") or {}
        if method is None or number is None:
            if method == "notifications/initialized":
                self.initialized = True
            return None
        try:
            if method == "initialize":
                asked = params["protocolVersion"]
                result = {
                    "protocolVersion": asked if asked in PROTOCOLS else PROTOCOLS[-1],
                    "capabilities": {"tools": {"listChanged": True}, "logging": {}},
                    "serverInfo": {"name": "mcp_server.py", "version": "1"},
                }
            elif method == "ping":
                result = {}
            elif not self.initialized:
                raise Refused(-32600, "not initialized")
            elif method == "tools/list":
                result = self.page(params.get("cursor"))
            elif method == "tools/call":
                self.notify("notifications/message", {"level": "info", "data": "called"})
                result = self.call(params["name"], params.get("arguments") or {})
            else:
                raise Refused(-32601, "method not found")
        except Refused as refused:
            return {"jsonrpc": "2.0", "id": number, "error": {"code": refused.code, "message": refused.text}}
        return {"jsonrpc": "2.0", "id": number, "result": result}

    def page(self, cursor):
        start = int(cursor) if cursor else 0
        result = {"tools": self.tools[start : start + PAGE]}
        if start + PAGE < len(self.tools):
            result["nextCursor"] = str(start + PAGE)
        return result

    def call(self, name, arguments):
        if name not in [known["name"] for known in self.tools]:
            raise Refused(-32602, f"unknown tool {name}")
        if name == "echo":
            return text(arguments["text"])
        if name == "pid":
            return text(str(os.getpid()))
        if name in ("slow", "stuck"):
            time.sleep(600)
        if name == "fail":
            return {**text(f"no luck with {os.environ.get('TOKEN')}"), "isError": True}
        if name == "refuse":
            raise Refused(-32602, f"not with {os.environ.get('TOKEN') or self.headers.get('x-token')}")
        if name == "die":
            os._exit(3)
        if name == "flood":
            return text("é" * arguments["chars"])
        if name == "picture":
            image = {"type": "image", "mimeType": "image/png", "data": "iVBORw0K"}
            return {"content": [image, {"type": "text", "text": "a picture"}]}
        if name == "tell":
            return text(f"{os.environ.get('TOKEN')} {json.dumps(self.headers)}")
        if name == "environment":
            return text(" ".join(sorted(os.environ)))
        if name == "offspring":
            return text(str(subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL).pid))
        if name == "grow":
            self.tools.append(tool("grown", "Was not there before."))
            self.notify("notifications/tools/list_changed", None)
            return text("done")
        if name == "noise":
            print(f"\x1b[31mred {os.environ.get('TOKEN')} noise", file=sys.stderr, flush=True)
            print("this is no JSON", flush=True)
            return text("quiet again")
        return text(f"this is {name}")


class Refused(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


def text(said):
    return {"content": [{"type": "text", "text": said}]}


def notification(method, params):
    message = {"jsonrpc": "2.0", "method": method}
    if params is not None:
        message["params"] = params
    return message


def serve_stdio(args):
    lock = threading.Lock()

    def write(message):
        with lock:
            print(json.dumps(message), flush=True)

    server = Server(args, lambda method, params: write(notification(method, params)))

    def handle(message):
        answer = server.answer(message)
        if answer is not None:
            write(answer)

    # Not "for line in": that reads ahead.
    while line := sys.stdin.readline():
        message = json.loads(line)
        if (message.get("params") or {}).get("name") == "slow":
            threading.Thread(target=handle, args=[message], daemon=True).start()
        else:
            handle(message)
    if args.stubborn:
        time.sleep(600)


def serve_http(args):
    sessions = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def reply(self, status, body=b"", **headers):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.reply(405)

        def do_DELETE(self):
            sessions.pop(self.headers.get("Mcp-Session-Id"), None)
            self.reply(200)

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if args.token and self.headers.get("X-Token") != args.token:
                return self.reply(401, f"not {self.headers.get('X-Token')}".encode(), Content_Type="text/plain")
            message = json.loads(body)
            session = self.headers.get("Mcp-Session-Id")
            notes = []
            headers = {}
            if message.get("method") == "initialize":
                session = str(uuid.uuid4())
                headers["Mcp_Session_Id"] = session
                sessions[session] = Server(args, None)
            if session not in sessions:
                return self.reply(404)
            server = sessions[session]
            server.notify = lambda method, params: notes.append(notification(method, params))
            server.headers = {name.lower(): value for name, value in self.headers.items()}
            answer = server.answer(message)
            if answer is None:
                return self.reply(202)
            if args.sse:
                events = "".join(f"event: message\ndata: {json.dumps(one)}\n\n" for one in [*notes, answer])
                return self.reply(200, events.encode(), Content_Type="text/event-stream", **headers)
            return self.reply(200, json.dumps(answer).encode(), Content_Type="application/json", **headers)

    server = ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
    server.daemon_threads = True
    print(f"listening on http://127.0.0.1:{server.server_address[1]}/mcp", flush=True)
    server.serve_forever()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--sse", action="store_true")
    parser.add_argument("--token", help="what X-Token has to be")
    parser.add_argument("--dead", action="store_true", help="ends before it has answered anything")
    parser.add_argument("--deaf", action="store_true", help="answers nothing")
    parser.add_argument("--stubborn", action="store_true", help="ends for neither the end of input nor SIGTERM")
    parser.add_argument("--pid-file", help="where it writes its process id, a line for every start")
    args = parser.parse_args()
    if args.pid_file:
        with open(args.pid_file, "a") as file:
            file.write(f"{os.getpid()}\n")
    if args.dead:
        print(f"cannot start with {os.environ.get('TOKEN')}", file=sys.stderr, flush=True)
        sys.exit(7)
    if args.deaf:
        time.sleep(600)
    if args.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if args.http:
        serve_http(args)
    else:
        serve_stdio(args)


main()

#!/usr/bin/env python3
"""Viewers of events: memory of many, and completeness over a proxy that cuts and a server that restarts.

    python3 benches/viewers.py memory              1,000 viewers of running workflows: memory above idle
    python3 benches/viewers.py cuts                a proxy cuts every connection after 5 s, for 10 minutes, and the
                                                   server is restarted in the middle: no gap, no duplicate, an end for all

BUILT=1 takes the executable that is there (PROGRAM), VIEWERS, MINUTES, CUT (seconds) and REDIS_URL change the run. Loopback only.
"""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.environ.get("PROGRAM", os.path.join(HERE, "..", "target", "release", "productforge"))
VIEWERS = int(os.environ.get("VIEWERS", "1000"))
MINUTES = float(os.environ.get("MINUTES", "10"))
CUT = float(os.environ.get("CUT", "5"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """The executable on a port of its own; can be stopped and started again on the same data."""

    def __init__(self, latency_ms, workers):
        self.port, self.folder = free_port(), tempfile.mkdtemp(prefix="productforge-viewers-")
        self.latency, self.workers, self.process = latency_ms, workers, None

    def start(self):
        env = {**os.environ, "WORKSPACE_DIR": self.folder, "SIMULATED_LATENCY_MS": str(self.latency), "LOG_LEVEL": "warn"}
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "API_KEY"):
            env.pop(name, None)
        command = [PROGRAM, "serve", "--port", str(self.port), "--workers", str(self.workers)]
        self.process = subprocess.Popen(command, env=env, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/system/ping", timeout=1).read()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the server does not start")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def memory(self):
        """Resident memory in MiB."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return json.load(answer)

    def brief(self, text):
        body = json.dumps({"job": text, "requires_qa": True}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/orchestrate", data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["workflow_id"]


class Viewer:
    """Follows one workflow to its end, and comes again when it is cut off."""

    def __init__(self, port, workflow):
        self.port, self.workflow = port, workflow
        self.ids, self.end, self.partials, self.connections, self.alive = [], None, 0, 0, 0

    async def run(self, until):
        while self.end is None and time.monotonic() < until:
            try:
                await self.follow()
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
                pass
            if self.end is None:
                await asyncio.sleep(0.2 + random.random() * 0.3)

    async def follow(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            last = f"Last-Event-ID: {self.ids[-1]}\r\n" if self.ids else ""
            writer.write(f"GET /workflows/{self.workflow}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n{last}\r\n".encode())
            status = await reader.readline()
            if b" 200 " not in status:
                raise ValueError(status)
            while await reader.readline() != b"\r\n":
                pass
            self.connections += 1
            text = b""
            while True:
                size = int((await reader.readline()).strip() or b"0", 16)
                if size == 0:
                    return
                text += await reader.readexactly(size)
                await reader.readexactly(2)
                *frames, text = text.split(b"\n\n")
                for frame in frames:
                    self.take(frame.decode())
                if self.end is not None:
                    return
        finally:
            writer.close()

    def take(self, frame):
        fields = dict(line.split(": ", 1) for line in frame.split("\n") if ": " in line and not line.startswith(":"))
        if frame.startswith(":"):
            self.alive += 1
        elif fields.get("event") == "end":
            self.end = json.loads(fields["data"])["status"]
        elif fields.get("event") == "partial":
            self.partials += 1
        elif "id" in fields:
            self.ids.append(int(fields["id"]))


async def proxy(to, cut):
    """A TCP proxy that cuts every connection after so many seconds."""

    async def serve(reader, writer):
        try:
            there, back = await asyncio.open_connection("127.0.0.1", to)
        except OSError:
            writer.close()
            return

        async def pump(source, sink):
            try:
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            except OSError:
                pass

        both = [asyncio.create_task(pump(reader, back)), asyncio.create_task(pump(there, writer))]
        await asyncio.wait(both, timeout=cut, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        writer.transport.abort()
        back.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def whole(server, workflow):
    """All ids of a workflow's events, as one viewer gets them from the beginning."""

    async def follow():
        viewer = Viewer(server.port, workflow)
        await viewer.run(time.monotonic() + 30)
        return viewer.ids

    return follow()


async def judge(server, viewers):
    known, wrong = {}, []
    for viewer in viewers:
        if viewer.workflow not in known:
            known[viewer.workflow] = await whole(server, viewer.workflow)
        if viewer.end is None:
            wrong.append(f"{viewer.workflow}: no end")
        elif viewer.ids != known[viewer.workflow]:
            wrong.append(f"{viewer.workflow}: {len(viewer.ids)} events instead of {len(known[viewer.workflow])}")
    return wrong


async def memory():
    server = Server(latency_ms=8000, workers=16)
    server.start()
    await asyncio.sleep(2)
    warm = server.brief("Warm up")
    await Viewer(server.port, warm).run(time.monotonic() + 200)
    idle = server.memory()
    workflows = [server.brief(f"Brief number {n}") for n in range(16)]
    viewers = [Viewer(server.port, workflows[n % len(workflows)]) for n in range(VIEWERS)]
    tasks = [asyncio.create_task(viewer.run(time.monotonic() + 300)) for viewer in viewers]
    most = idle
    begun = time.monotonic()
    while not all(task.done() for task in tasks):
        most = max(most, server.memory())
        await asyncio.sleep(0.5)
    took = time.monotonic() - begun
    wrong = await judge(server, viewers)
    partials = sum(viewer.partials for viewer in viewers)
    print(f"{VIEWERS} viewers of {len(workflows)} workflows for {took:.0f} s: {most - idle:.1f} MiB above idle ({idle:.1f} MiB), "
          f"{sum(len(v.ids) for v in viewers)} events and {partials} partials delivered, {len(wrong)} of them wrong")
    server.stop()
    return wrong


async def cuts():
    server = Server(latency_ms=3000, workers=32)
    server.start()
    gate, port = await proxy(server.port, CUT)
    ends = time.monotonic() + MINUTES * 60
    restart_at = time.monotonic() + MINUTES * 30
    viewers, tasks, restarted = [], [], False
    while time.monotonic() < ends:
        try:
            workflow = await asyncio.to_thread(server.brief, f"Brief number {len(viewers)}")
            for _ in range(5):
                viewers.append(Viewer(port, workflow))
                tasks.append(asyncio.create_task(viewers[-1].run(ends + 240)))
        except OSError:
            pass
        if not restarted and time.monotonic() > restart_at:
            restarted = True
            code = await asyncio.to_thread(server.stop)
            print(f"the server ended with {code}; started again", flush=True)
            await asyncio.to_thread(server.start)
        await asyncio.sleep(2)
    await asyncio.gather(*tasks)
    gate.close()
    wrong = await judge(server, viewers)
    cut = sum(viewer.connections - 1 for viewer in viewers)
    print(f"{MINUTES:g} minutes, cut every {CUT:g} s and one restart: {len(viewers)} viewers of {len(viewers) // 5} workflows, "
          f"{cut} reconnections, {sum(len(v.ids) for v in viewers)} events, {len(wrong)} viewers with a gap, a duplicate or no end")
    server.stop()
    return wrong


def main():
    section = sys.argv[1] if len(sys.argv) > 1 else ""
    if section not in ("memory", "cuts"):
        raise SystemExit(__doc__)
    if not os.environ.get("BUILT"):
        subprocess.run(["cargo", "build", "--release", "--locked"], check=True, cwd=os.path.join(HERE, ".."))
    wrong = asyncio.run(memory() if section == "memory" else cuts())
    for line in wrong[:20]:
        print(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Many model calls at once: 2,000 that take a second each, by one process, beside the ideal and a rival.

    python3 benches/calls.py [--calls 2000] [--seconds 1.0] [--rounds 3]

A model server of its own on loopback answers every question after so long. Ours is the release executable
with as many slots as calls, its embedded store and its journal: every call is a durable job with a result.
The rival is the `openai` package for Python (AsyncOpenAI, one task a call), which keeps nothing. Installed
with pip into PEERS_DIR (or a folder beside the system's temporary files); nothing but loopback is asked after that.
The wall time is the model server's: from the first byte of the first question to the last byte of the last
answer. Memory is the most that the process had resident (VmHWM).
"""

import argparse
import asyncio
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXECUTABLE = ROOT / "target" / "release" / "productforge"


# ---- the model server ---------------------------------------------------------------------------


async def serve(seconds):
    """Prints its port, then a line of JSON for each line it reads."""
    seen = {"first": None, "last": None, "calls": 0, "open": 0, "most": 0}
    answer = {
        "id": "c", "object": "chat.completion", "created": 1, "model": "slow",
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None,
                     "message": {"role": "assistant", "content": "word " * 50, "refusal": None}}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 50, "total_tokens": 70},
    }
    whole = json.dumps(answer).encode()

    def frame(value):
        return b"data: " + json.dumps(value).encode() + b"\n\n"

    def chunk(delta, finish=None, usage=None):
        choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
        return frame({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "slow",
                      "choices": choices, "usage": usage})

    streamed = chunk({"role": "assistant", "content": ""}) + chunk({"content": "word " * 50}) + \
        chunk({}, "stop") + chunk({}, None, answer["usage"]) + b"data: [DONE]\n\n"

    async def client(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if seen["first"] is None:
                    seen["first"] = time.monotonic()
                length = 0
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                body = await reader.readexactly(length)
                seen["open"] += 1
                seen["most"] = max(seen["most"], seen["open"])
                await asyncio.sleep(seconds)
                stream = b'"stream":true' in body.replace(b" ", b"")
                kind, text = (b"text/event-stream", streamed) if stream else (b"application/json", whole)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: " + kind + b"\r\ncontent-length: "
                             + str(len(text)).encode() + b"\r\n\r\n" + text)
                await writer.drain()
                seen["open"] -= 1
                seen["calls"] += 1
                seen["last"] = time.monotonic()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(seen), flush=True)


class Model:
    def __init__(self, seconds):
        self.process = subprocess.Popen([sys.executable, __file__, "--serve", str(seconds)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}/v1"

    def seen(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def until(self, calls, limit=180):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            seen = self.seen()
            if seen["calls"] >= calls:
                return seen
            time.sleep(0.05)
        raise SystemExit(f"only {seen} of {calls} calls came")

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


def peak_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


# ---- ours ---------------------------------------------------------------------------------------


def start(folder, model, workers):
    environment = {"OPENAI_BASE_URL": model.url, "OPENAI_MODEL": "slow", "PATH": os.environ["PATH"],
                   "LOG_LEVEL": "error,productforge::cli=info", "WORKSPACE_DIR": str(folder)}
    log = open(folder / f"{workers}.log", "w")
    process = subprocess.Popen([EXECUTABLE, "serve", "--port", "0", "--workers", str(workers)], cwd=folder,
                               env=environment, stdout=log, stderr=subprocess.STDOUT)
    for _ in range(200):
        text = (folder / f"{workers}.log").read_text()
        if "listening on " in text:
            return process, text.split("listening on ")[1].split()[0]
        time.sleep(0.05)
    process.kill()
    raise SystemExit(f"it did not start:\n{text}")


def stop(process):
    process.terminate()
    process.wait(40)


def ours(calls, seconds):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = Model(seconds)
        process, url = start(folder, model, 0)
        for n in range(calls):
            body = json.dumps({"job": f"question {n}"}).encode()
            request = urllib.request.Request(f"{url}/results/task", body, {"content-type": "application/json"})
            urllib.request.urlopen(request).read()
        stop(process)
        process, url = start(folder, model, calls)
        try:
            seen = model.until(calls)
            done = 0
            while done < calls:
                page = json.load(urllib.request.urlopen(f"{url}/jobs?state=completed&limit=1"))
                done = page["total"]
                time.sleep(0.02)
            durable = time.monotonic() - seen["first"]
            return seen["last"] - seen["first"], peak_mib(process.pid), seen["most"], durable
        finally:
            stop(process)
            model.close()


# ---- the rival ----------------------------------------------------------------------------------

RIVAL = """
import asyncio, sys, openai
try:
    import httpx2 as httpx
except ImportError:
    import httpx
async def main():
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    client = openai.AsyncOpenAI(base_url=sys.argv[1], api_key="none", timeout=600, max_retries=4,
        http_client=openai.DefaultAsyncHttpxClient(limits=limits))
    async def ask(n):
        answer = await client.chat.completions.create(model="slow",
            messages=[{"role": "system", "content": "You are somebody."}, {"role": "user", "content": f"question {n}"}])
        return len(answer.choices[0].message.content)
    await asyncio.gather(*[ask(n) for n in range(int(sys.argv[2]))])
    print("done", flush=True)
    sys.stdin.readline()
asyncio.run(main())
"""


def rival_python():
    base = pathlib.Path(os.environ.get("PEERS_DIR") or pathlib.Path(tempfile.gettempdir()) / "productforge-peers")
    venv = base / "openai-python"
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.check_call([sys.executable, "-m", "venv", venv])
        subprocess.check_call([python, "-m", "pip", "install", "-q", "openai"])
    return python


def rival(calls, seconds, python):
    model = Model(seconds)
    process = subprocess.Popen([python, "-c", RIVAL, model.url, str(calls)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline().strip() != "done":
            raise SystemExit("the rival failed")
        seen = model.seen()
        return seen["last"] - seen["first"], peak_mib(process.pid), seen["most"], float("nan")
    finally:
        process.stdin.close()
        process.wait(30)
        model.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", type=float)
    options = parser.parse_args()
    if options.serve is not None:
        return asyncio.run(serve(options.serve))
    if not os.environ.get("BUILT"):
        subprocess.check_call(["cargo", "build", "--locked", "--release", "--quiet"], cwd=ROOT)
    python = rival_python()
    rows = {"productforge": [], "openai (Python)": []}
    for _ in range(options.rounds):
        rows["productforge"].append(ours(options.calls, options.seconds))
        rows["openai (Python)"].append(rival(options.calls, options.seconds, python))
    print(f"{options.calls} calls of {options.seconds} s at once, medians of {options.rounds}\n")
    print(f"| {'client':<16} | wall s | of ideal | most at once | peak MiB | durable after s |")
    print("|---|---|---|---|---|---|")
    print(f"| {'ideal':<16} | {options.seconds:.2f} | 1.00 | {options.calls} | | |")
    for name, runs in rows.items():
        wall, memory, most, durable = (statistics.median(column) for column in zip(*runs))
        print(f"| {name:<16} | {wall:.2f} | {wall / options.seconds:.2f} | {most:.0f} | {memory:.0f} | "
              f"{'' if durable != durable else f'{durable:.2f}'} |")


if __name__ == "__main__":
    main()

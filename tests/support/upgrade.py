#!/usr/bin/env python3
"""Two versions of productforge on the same data, one after the other, and the fixtures of the upgrade tests.

    upgrade.py run OLD NEW [sqlite|redis ...]   OLD, NEW, OLD, NEW on one store; each is killed in the middle of work
    upgrade.py fixture OLD FOLDER COMMIT        what OLD leaves when it is killed, as fixtures of tests/it/upgrade

OLD and NEW are executables. Exit code 0: every version has read all, and gone on with all, that the other wrote.
"""

import base64
import gzip
import io
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile

SETTINGS = {"SIMULATED_LATENCY_MS": "120", "WORKERS": "4", "RESULT_TTL": "864000", "LEASE_SECONDS": "2"}
# What a version that cannot read a document of the other one says of it.
COMPLAINTS = ("cannot be read", "passed over", "a request failed", "panicked")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def until(what, look, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise SystemExit(f"waited in vain until {what}")


class Redis:
    """A server of its own, and as much of its protocol as is needed."""

    def __init__(self, folder):
        self.port = free_port()
        arguments = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        self.process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
        until("Redis answers", self.answers)
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.reader = self.socket.makefile("rb")

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def __call__(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return self.reply()

    def reply(self):
        line = self.reader.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else self.reader.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        if kind == b"-":
            raise SystemExit(f"Redis says {rest.decode()}")
        return int(rest) if kind == b":" else rest

    def stop(self):
        self.process.kill()
        self.process.wait()


class Version:
    """One run of an executable on the data of a folder."""

    def __init__(self, name, executable, folder, redis):
        self.name, self.log = name, os.path.join(folder, f"{name}-{time.monotonic_ns()}.out")
        environment = dict(SETTINGS)
        if redis:
            environment["REDIS_URL"] = f"redis://127.0.0.1:{redis.port}"
        with open(self.log, "wb") as log:
            arguments = [os.path.abspath(executable), "serve", "--port", "0"]
            self.process = subprocess.Popen(arguments, cwd=folder, env=environment, stdout=log, stderr=log)
        self.url = until(f"{name} listens", self.address)

    def address(self):
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} has ended:\n{self.said()}")
        said = self.said()
        return said.split("listening on ")[1].split()[0] if "listening on " in said else None

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def ask(self, method, path, body=None, kind="application/json"):
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": kind}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refused:
            if refused.code == 404:
                return None
            raise SystemExit(f"{self.name}: {method} {path}: {refused.code} {refused.read().decode()}") from None

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path, body):
        return self.ask("POST", path, body)

    def brief(self, text, **more):
        return self.post("/orchestrate", {"job": text, "requires_qa": True, **more})["workflow_id"]

    def workflow(self, id):
        return self.get(f"/workflows/{id}")["workflow"]

    def is_done(self, id):
        return self.workflow(id)["status"] == "completed"

    def is_at_work(self):
        jobs = self.get("/jobs?limit=100")["jobs"]
        return any(job["state"] in ("running", "processing") for job in jobs)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for complaint in COMPLAINTS:
            lines = [line for line in self.said().splitlines() if complaint in line]
            if lines:
                raise SystemExit(f"{self.name} complains:\n" + "\n".join(lines[:10]))


def archive():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("shop/main.py", "def total(items):\n    return sum(items)\n")
        made.writestr("shop/requirements.txt", "flask==3.0.0\n")
    return out.getvalue()


def upload(version):
    head = 'Content-Disposition: form-data; name="file"; filename="shop.zip"'
    body = b"--x\r\n" + head.encode() + b"\r\n\r\n" + archive() + b"\r\n--x--\r\n"
    return version.ask("POST", "/upload/", body, "multipart/form-data; boundary=x")["upload_id"]


def first_work(version):
    """Something of every kind, some of it done, some under way: the workflows, and the one that waits for a person."""
    agent = {"name": "critic_bot", "role": "Critic", "goal": "Find what is wrong", "backstory": "Has seen much"}
    version.post("/agents/", agent)
    done = [version.brief(f"Write note {n}") for n in range(3)]
    for id in done:
        until("a workflow is done", lambda id=id: version.is_done(id))
    task = version.post("/results/task", {"job": "Name five risks"})["job_id"]
    until("the task is done", lambda: version.get(f"/results/{task}"))
    version.post(f"/results/{task}/pin", {})
    uploaded = upload(version)
    until("the upload is analysed", lambda: version.get(f"/upload/{uploaded}")["status"] == "analysed")
    version.post("/reports/generate", {})
    waits = version.brief("Publish the note", approval=True)
    until("it waits for a person", lambda: version.workflow(waits)["status"] == "paused")
    version.post("/results/task", {"job": "Later", "delay_seconds": 86400})
    running = [version.brief(f"Go on with note {n}") for n in range(5)]
    until("work is under way", version.is_at_work)
    return done + running, waits


def look_at_all(version, workflows):
    """Everything that was written can be shown, and no result is missing or there twice."""
    for path in ("/agents/", "/workflows?limit=100", "/jobs?limit=100", "/jobs?state=dead", "/results/?limit=500",
                 "/upload/list", "/usage", "/analytics/summary", "/reports", "/queues", "/workers", "/providers",
                 "/system/status", "/system/verify"):
        if version.get(path) is None:
            raise SystemExit(f"{version.name}: {path} is not there")
    if version.get("/agents/critic_bot") is None:
        raise SystemExit(f"{version.name} does not know the agent that the other version registered")
    for id in workflows:
        # A gate is a step that no job runs.
        steps = [step for step in version.workflow(id)["steps"] if step["step"] != "approval"]
        jobs = sorted(step["job_id"] for step in steps)
        found = sorted(result["job_id"] for result in version.get(f"/results/workflow/{id}"))
        if jobs != found:
            raise SystemExit(f"{version.name}: workflow {id} has the jobs {jobs} and results of {found}")
        version.get(f"/workflows/{id}/calls")


def turn(name, executable, folder, redis, workflows, last=False):
    """A version goes on with what the other left, begins more, and is killed in the middle of that."""
    version = Version(name, executable, folder, redis)
    for id in workflows:
        until(f"{name} has gone on with workflow {id}", lambda id=id: version.is_done(id))
    look_at_all(version, workflows)
    if not last:
        workflows += [version.brief(f"{name} begins {n}") for n in range(4)]
        until("work is under way", version.is_at_work)
    return version


def run(old, new, engine):
    folder = tempfile.mkdtemp(prefix="upgrade-")
    redis = Redis(folder) if engine == "redis" else None
    begun = time.monotonic()
    try:
        version = Version("the old version", old, folder, redis)
        workflows, waits = first_work(version)
        version.kill()
        turn("the new version", new, folder, redis, workflows).kill()
        version = turn("the old version again", old, folder, redis, workflows)
        version.post(f"/workflows/{waits}/approve", {})
        version.kill()
        workflows.append(waits)
        turn("the new version again", new, folder, redis, workflows, last=True).kill()
    finally:
        if redis:
            redis.stop()
    shutil.rmtree(folder)
    took = time.monotonic() - begun
    print(f"{engine}: old, new, old, new on one store: {len(workflows)} workflows, all of them completed with one "
          f"result a step, in {took:.0f} s")


def fixture(old, target, commit):
    for engine in ("sqlite", "redis"):
        folder = tempfile.mkdtemp(prefix="upgrade-")
        redis = Redis(folder) if engine == "redis" else None
        version = Version("the old version", old, folder, redis)
        workflows, waits = first_work(version)
        version.kill()
        about = {"commit": commit, "made_at_ms": int(time.time() * 1000), "workflows": workflows, "waits": waits}
        with open(os.path.join(target, f"{engine}.json"), "w", encoding="utf-8") as out:
            json.dump(about, out, indent=1)
            out.write("\n")
        if engine == "sqlite":
            file = os.path.join(folder, "workspace", "productforge.db")
            database = sqlite3.connect(file, isolation_level=None)
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.execute("VACUUM")
            database.close()
            with open(file, "rb") as found, gzip.GzipFile(os.path.join(target, "sqlite.db.gz"), "wb", 9, mtime=0) as out:
                shutil.copyfileobj(found, out)
        else:
            with gzip.GzipFile(os.path.join(target, "redis.jsonl.gz"), "wb", 9, mtime=0) as out:
                for key in sorted(redis("KEYS", "*")):
                    out.write(json.dumps(commands_of(redis, key)).encode() + b"\n")
            redis.stop()
        shutil.rmtree(folder)
        print(f"{engine}: {len(workflows) + 1} workflows")


def commands_of(redis, key):
    """The commands that make a key again, their words in base64, and what was left of its life."""
    kind = redis("TYPE", key).decode()
    if kind == "string":
        commands = [["SET", key, redis("GET", key)]]
    elif kind == "list":
        commands = [["RPUSH", key, *redis("LRANGE", key, 0, -1)]]
    elif kind == "set":
        commands = [["SADD", key, *redis("SMEMBERS", key)]]
    elif kind == "hash":
        commands = [["HSET", key, *redis("HGETALL", key)]]
    elif kind == "zset":
        found = redis("ZRANGE", key, 0, -1, "WITHSCORES")
        commands = [["ZADD", key] + [w for pair in zip(found[1::2], found[::2]) for w in pair]]
    elif kind == "stream":
        commands = [["XADD", key, id, *fields] for id, fields in redis("XRANGE", key, "-", "+")]
    else:
        raise SystemExit(f"a key of the type {kind}")
    life = redis("PTTL", key)
    if life > 0:
        commands.append(["PEXPIRE", key, life])
    as_bytes = lambda word: word if isinstance(word, bytes) else str(word).encode()
    return [[base64.b64encode(as_bytes(word)).decode() for word in command] for command in commands]


def main():
    if sys.argv[1:2] == ["run"] and len(sys.argv) >= 4:
        for engine in sys.argv[4:] or ["sqlite", "redis"]:
            run(sys.argv[2], sys.argv[3], engine)
    elif sys.argv[1:2] == ["fixture"] and len(sys.argv) == 5:
        fixture(*sys.argv[2:])
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()

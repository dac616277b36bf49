#!/usr/bin/env python3
"""A soak: 70 % of what one server can do, for minutes, with all kinds of requests; is memory flat, and who waits?

    benches/soak.py [MINUTES] [sqlite|redis]        default: 10 minutes, sqlite; `./dev soak` builds a release first

The maximum is measured first, in the same run: clients that post briefs and wait for their ends, as fast as they can.
Then briefs come at 70 % of that rate; their results are read, viewers follow streams of events, pages and lists are
asked for, archives are uploaded now and then. Results and workflows live for 20 seconds (LIFE): as much is kept after
a minute as after ten, so that what grows then is no store that fills. Memory is looked at every second; its drift is
the median of the last minute over that of the second.
PRODUCTFORGE names another executable; WORKERS (64) and SIMULATED_LATENCY_MS (20) say what bounds the maximum: with few
workers and a slow model it is they, and not the machine. MALLOC_… is handed on to the server. Exit code 1: an error, or
a drift of 5 % or more.
"""

import http.client
import io
import json
import os
import queue
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

WORKERS = os.environ.get("WORKERS", "64")
LATENCY_MS = os.environ.get("SIMULATED_LATENCY_MS", "20")
LIFE = os.environ.get("LIFE", "20")
SHARE = 0.7
CLIENTS = 24
MEASURED_SECONDS = 20
LIMIT = 5.0
BRIEFS = [
    "Fix the login bug that shows after a session has expired",
    "Compare three message queues for a small team and recommend one",
    "Design a REST API for a library with loans, reminders and fines",
    "Write a plan for moving a shop from one database to another one",
]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def until(what, look, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise SystemExit(f"waited in vain until {what}")


class Times:
    """How long requests took, by kind, and what went wrong."""

    def __init__(self):
        self.lock, self.kinds, self.errors = threading.Lock(), {}, []

    def add(self, kind, seconds):
        with self.lock:
            self.kinds.setdefault(kind, []).append(seconds)

    def fail(self, kind, why):
        with self.lock:
            self.errors.append(f"{kind}: {why}")

    def table(self):
        lines = [f"{'request':<28}{'number':>9}{'p50 ms':>10}{'p99 ms':>10}{'most ms':>10}"]
        for kind, times in sorted(self.kinds.items()):
            times.sort()
            at = lambda share: times[min(int(len(times) * share), len(times) - 1)] * 1000
            lines.append(f"{kind:<28}{len(times):>9}{at(0.5):>10.1f}{at(0.99):>10.1f}{times[-1] * 1000:>10.1f}")
        return "\n".join(lines)


class Client:
    """One connection that is kept."""

    def __init__(self, port, times):
        self.times, self.http = times, http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, kind, method, path, body=None, content="application/json", fine=(200,)):
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        begun = time.monotonic()
        try:
            self.http.request(method, path, data, {"content-type": content})
            answer = self.http.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.http.close()
            self.times.fail(kind, repr(error))
            return None
        self.times.add(kind, time.monotonic() - begun)
        if answer.status not in fine:
            self.times.fail(kind, f"{answer.status} {text[:200]!r}")
            return None
        is_json = answer.status == 200 and "json" in (answer.getheader("content-type") or "")
        return json.loads(text) if is_json else text

    def brief(self):
        body = {"job": f"{random.choice(BRIEFS)} ({random.random()})", "requires_qa": True}
        answer = self.ask("POST /orchestrate", "POST", "/orchestrate", body)
        return answer and answer["workflow_id"]

    def is_done(self, id):
        answer = self.ask("GET /workflows/{id}", "GET", f"/workflows/{id}")
        return answer and answer["workflow"]["status"] == "completed"


def measured(port):
    """Workflows a second, at the most."""
    done, lock, times, end = [0], threading.Lock(), Times(), time.monotonic() + MEASURED_SECONDS

    def work():
        client = Client(port, times)
        while time.monotonic() < end:
            id = client.brief()
            while id and not client.is_done(id):
                time.sleep(0.1)
            if id and time.monotonic() < end:
                with lock:
                    done[0] += 1

    run_all([threading.Thread(target=work) for _ in range(CLIENTS)])
    if times.errors:
        raise SystemExit("the measurement failed: " + times.errors[0])
    return done[0] / MEASURED_SECONDS


def run_all(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def archive():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for n in range(20):
            made.writestr(f"shop/part_{n}.py", "".join(f"def f{i}(x):\n    return x + {i * n}\n" for i in range(200)))
    return out.getvalue()


class Soak:
    def __init__(self, port, rate, seconds):
        self.port, self.rate, self.times = port, rate, Times()
        self.begun = time.monotonic()
        self.end = self.begun + seconds
        self.begun_ids, self.done, self.seen_events = queue.Queue(), 0, 0
        self.recent, self.lock = [], threading.Lock()

    def over(self):
        return time.monotonic() >= self.end

    def submit(self, number, of):
        """Every `of`-th brief, at its planned time: who is late does not slow the others down."""
        client, turn = Client(self.port, self.times), number
        while True:
            planned = self.begun + turn / self.rate
            if planned >= self.end:
                return
            time.sleep(max(0.0, planned - time.monotonic()))
            id = client.brief()
            if id:
                self.begun_ids.put((id, time.monotonic()))
                with self.lock:
                    self.recent = (self.recent + [id])[-50:]
            turn += of

    def read(self):
        """Waits for ends and reads the results, as those who asked would."""
        client = Client(self.port, self.times)
        while not (self.over() and self.begun_ids.empty()):
            try:
                id, begun = self.begun_ids.get(timeout=0.5)
            except queue.Empty:
                continue
            time.sleep(max(0.0, begun + 0.5 - time.monotonic()))
            for _ in range(600):
                if client.is_done(id):
                    break
                time.sleep(0.1)
            else:
                self.times.fail("workflow", f"{id} does not end")
                continue
            results = client.ask("GET /results/workflow/{id}", "GET", f"/results/workflow/{id}")
            # What took long may have lost its first results to RESULT_TTL.
            is_young = time.monotonic() - begun < int(LIFE) - 10
            if results is not None and is_young and len(results) < 4:
                self.times.fail("GET /results/workflow/{id}", f"{id} has {len(results)} results")
            with self.lock:
                self.done += 1

    def view(self, number):
        """A viewer of events, of all workflows or of one; comes again and again."""
        while not self.over():
            with self.lock:
                path = "/events" if number % 2 == 0 or not self.recent else f"/workflows/{self.recent[-1]}/events"
            stream = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            leave = time.monotonic() + random.uniform(5, 20)
            try:
                stream.request("GET", path)
                answer = stream.getresponse()
                if answer.status != 200:
                    self.times.fail("GET /events", str(answer.status))
                while time.monotonic() < leave and not self.over():
                    line = answer.readline()
                    if not line:
                        break
                    self.seen_events += line.startswith(b"data:")
            except TimeoutError:
                pass
            except (OSError, http.client.HTTPException) as error:
                self.times.fail("GET /events", repr(error))
            finally:
                stream.close()

    def look(self):
        """Pages and lists, twice a second; an upload every ten seconds."""
        client, sent = Client(self.port, self.times), archive()
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="shop.zip"\r\n\r\n'
        form = head + sent + b"\r\n--x--\r\n"
        paths = ["/workflows?limit=20", "/results/?limit=50", "/system/health", "/system/status", "/metrics",
                 "/jobs?limit=50", "/dashboard/", "/analytics/summary", "/usage"]
        for turn in range(10**9):
            if self.over():
                return
            path = paths[turn % len(paths)]
            client.ask(f"GET {path}", "GET", path, fine=(200, 303))
            if turn % 20 == 0:
                client.ask("POST /upload/", "POST", "/upload/", form, "multipart/form-data; boundary=x")
            time.sleep(0.5)

    def run(self):
        submitters = 8
        threads = [threading.Thread(target=self.submit, args=(n, submitters)) for n in range(submitters)]
        threads += [threading.Thread(target=self.read) for _ in range(16)]
        threads += [threading.Thread(target=self.view, args=(n,)) for n in range(6)]
        threads.append(threading.Thread(target=self.look))
        run_all(threads)


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def main():
    arguments = sys.argv[1:]
    engine = next((a for a in arguments if a in ("sqlite", "redis")), "sqlite")
    minutes = next((float(a) for a in arguments if a not in ("sqlite", "redis")), 10.0)
    executable = os.path.abspath(os.environ.get("PRODUCTFORGE", "target/release/productforge"))
    folder, port, redis = tempfile.mkdtemp(prefix="soak-"), free_port(), None
    settings = {"SIMULATED_LATENCY_MS": LATENCY_MS, "WORKERS": WORKERS, "RESULT_TTL": LIFE, "WORKFLOW_TTL": LIFE,
                "UPLOAD_TTL": "60", "LOG_LEVEL": "warn", "PORT": str(port)}
    settings.update({name: value for name, value in os.environ.items() if name.startswith("MALLOC_")})
    if engine == "redis":
        redis_port = free_port()
        command = ["redis-server", "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--dir", folder,
                   "--appendonly", "yes", "--appendfsync", "everysec"]
        redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        settings["REDIS_URL"] = f"redis://127.0.0.1:{redis_port}"
        time.sleep(1)
    with open(os.path.join(folder, "server.out"), "wb") as log:
        server = subprocess.Popen([executable, "serve"], cwd=folder, env=settings, stdout=log, stderr=log)

    def answers():
        if server.poll() is not None:
            with open(os.path.join(folder, "server.out"), encoding="utf-8") as log:
                raise SystemExit("the server has ended:\n" + log.read())
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        except OSError:
            return False

    try:
        until("the server answers", answers)
        most = measured(port)
        rate = SHARE * most
        print(f"{engine}, {WORKERS} workers, a model of {LATENCY_MS} ms: {most:.1f} workflows a second at the most; {rate:.1f} of them for {minutes:g} minutes",
              flush=True)
        soak, memory = Soak(port, rate, minutes * 60), []

        def sample():
            while not soak.over():
                memory.append((resident(server.pid), resident(redis.pid) if redis else 0.0))
                time.sleep(max(0.0, soak.begun + len(memory) - time.monotonic()))

        sampling = threading.Thread(target=sample)
        sampling.start()
        soak.run()
        sampling.join()
        kept = Client(port, Times()).ask("", "GET", "/system/status").get("kept")
        server.terminate()
        code = server.wait(60)
    finally:
        for process in (server, redis):
            if process and process.poll() is None:
                process.kill()
                process.wait()
    with open(os.path.join(folder, "server.out"), encoding="utf-8") as log:
        lines = [line for line in log if " WARN" in line or " ERROR" in line or "level=" in line]
    shutil.rmtree(folder)
    own = [of_server for of_server, _ in memory]
    early, late = statistics.median(own[60:120] or own), statistics.median(own[-60:])
    drift = (late / early - 1) * 100
    print(soak.times.table())
    print(f"\nworkflows done: {soak.done}; events seen by viewers: {soak.seen_events}; stop: exit code {code}")
    print(f"memory of the server: {own[0]:.1f} MiB at first, {early:.1f} in the second minute, {late:.1f} in the last, "
          f"{max(own):.1f} at the most: drift {drift:+.1f} %")
    every = max(1, len(own) // 10)
    print("every tenth: " + ", ".join(f"{value:.0f}" for value in own[::every]) + " MiB")
    if redis:
        print(f"memory of Redis: {memory[min(60, len(memory) - 1)][1]:.1f} MiB after a minute, {memory[-1][1]:.1f} at the end")
    print(f"kept at the end: {json.dumps(kept)}")
    print(f"lines of warning in the log: {len(lines)}" + "".join(f"\n  {line.strip()[:200]}" for line in lines[:5]))
    print(f"errors: {len(soak.times.errors)}" + "".join(f"\n  {error}" for error in soak.times.errors[:10]))
    sys.exit(1 if soak.times.errors or drift >= LIMIT else 0)


if __name__ == "__main__":
    main()

// Keeps a page current: fetches the page again when the server says that something happened (`data-events`, a
// stream of events) or from time to time (`data-live`, seconds), and merges the parts marked `data-refresh` into
// what is shown, so that focus, selection, scroll and opened details stay. What a running step says comes with
// the events and is written where `data-partial` names its job.
// Without this script every page is complete, only not live.
"use strict";
(() => {
  const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

  // --- times in the reader's zone ---------------------------------------------------------
  function localTimes(root) {
    const today = new Date().toDateString();
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.getAttribute("datetime"));
      if (isNaN(at)) continue;
      time.textContent = (at.toDateString() === today ? CLOCK : DAY).format(at);
      time.title = DAY.format(at) + " (" + at.toISOString() + ")";
    }
  }

  // --- merging ----------------------------------------------------------------------------
  // What the reader changed by hand is left alone.
  const keeps = (element, name) =>
    (element.tagName === "DETAILS" && name === "open") ||
    (/^(INPUT|TEXTAREA|SELECT|OPTION)$/.test(element.tagName) && /^(value|checked|selected)$/.test(name));

  const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

  function merge(shown, fresh) {
    if (shown.nodeType !== Node.ELEMENT_NODE) {
      if (shown.nodeValue !== fresh.nodeValue) shown.nodeValue = fresh.nodeValue;
      return;
    }
    if (shown.isEqualNode(fresh)) return;
    for (const { name } of [...shown.attributes])
      if (!fresh.hasAttribute(name) && !keeps(shown, name)) shown.removeAttribute(name);
    for (const { name, value } of [...fresh.attributes])
      if (shown.getAttribute(name) !== value && !keeps(shown, name)) shown.setAttribute(name, value);
    if (shown.tagName === "TEXTAREA") return;
    let here = shown.firstChild;
    for (const next of [...fresh.childNodes]) {
      let match = here;
      // An element with an id is looked for among the ones that follow: rows move and come.
      if (next.id) while (match && match.id !== next.id) match = match.nextSibling;
      if (match && alike(match, next)) {
        if (match !== here) shown.insertBefore(match, here);
        else here = here.nextSibling;
        merge(match, next);
      } else {
        shown.insertBefore(document.importNode(next, true), here);
      }
    }
    while (here) {
      const gone = here;
      here = here.nextSibling;
      gone.remove();
    }
  }

  // --- refreshing -------------------------------------------------------------------------
  let failures = 0;
  let timer = 0;

  function schedule() {
    clearTimeout(timer);
    // While events come, a look from time to time is only for what tells none: times that pass, queues.
    const seconds = Number(document.body.dataset.live) * (stream ? 5 : 1);
    if (seconds > 0) timer = setTimeout(refresh, 1000 * Math.min(seconds * 2 ** failures, 30));
  }

  let busy = false;
  let again = false;

  async function refresh() {
    if (document.hidden) return;
    // What happens during a look is looked at with the next one.
    if (busy) return void (again = true);
    busy = true;
    clearTimeout(timer);
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
      if (answer.redirected) return location.reload(); // the session has ended
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      localTimes(fresh);
      for (const part of fresh.querySelectorAll("[data-refresh]")) {
        const shown = document.getElementById(part.id);
        if (shown) merge(shown, part);
      }
      if (document.title !== fresh.title) document.title = fresh.title;
      if (fresh.body.dataset.live) document.body.dataset.live = fresh.body.dataset.live;
      else delete document.body.dataset.live;
      for (const [job, said] of partials) write(job, said.text);
      failures = 0;
    } catch {
      failures = Math.min(failures + 1, 4);
    }
    busy = false;
    document.getElementById("connection").hidden = failures < 2;
    if (again) soon();
    schedule();
  }

  // --- events -----------------------------------------------------------------------------
  // Many events are one look, and there are two looks a second at the most.
  const REST = 500;
  let planned = 0;
  let looked = 0;

  function soon() {
    again = false;
    if (planned) return;
    planned = setTimeout(() => {
      planned = 0;
      looked = Date.now();
      refresh();
    }, Math.max(60, looked + REST - Date.now()));
  }

  // What running steps have said, by job.
  const partials = new Map();
  const LONGEST = 200000;

  function write(job, text) {
    const place = document.querySelector(`[data-partial="${CSS.escape(job)}"]`);
    if (!place) return false;
    const atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    if (place.textContent !== text) place.textContent = text;
    if (atEnd) place.scrollTop = place.scrollHeight;
    return true;
  }

  function hear({ job_id: job, attempt, call, at, text }) {
    const of = attempt + ":" + call;
    const known = partials.get(job);
    const goesOn = known && known.of === of && known.end === at && at > 0;
    const whole = goesOn ? known.text + text : text;
    // Characters are counted as the server counts them.
    partials.set(job, { of, end: at + [...text].length, text: whole.slice(-LONGEST) });
    if (!write(job, partials.get(job).text)) soon();
  }

  let stream = null;
  let seen = 0;

  function follow() {
    const from = document.body.dataset.events;
    if (!from || stream || document.hidden || !window.EventSource) return;
    const url = new URL(from, location.href);
    if (seen) url.searchParams.set("after", seen);
    stream = new EventSource(url);
    stream.onmessage = (event) => {
      seen = Number(event.lastEventId) || seen;
      const { job_id: job, kind } = JSON.parse(event.data);
      if (job && kind !== "step_started") partials.delete(job);
      soon();
    };
    stream.addEventListener("partial", (event) => hear(JSON.parse(event.data)));
    stream.addEventListener("gap", soon);
    stream.addEventListener("end", () => {
      leave();
      delete document.body.dataset.events;
      soon();
    });
    // A connection that is cut comes again by itself. One that is refused (the session has ended, the workflow
    // is gone) does not: the page is then looked at from time to time.
    stream.onerror = () => {
      if (stream && stream.readyState === EventSource.CLOSED) leave();
    };
  }

  function leave() {
    if (stream) stream.close();
    stream = null;
  }

  // A page that nobody looks at holds no connection: browsers have few of them for one host.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return leave();
    follow();
    if (document.body.dataset.live) refresh();
  });
  addEventListener("pagehide", leave);

  // --- forms ------------------------------------------------------------------------------
  // One click, one submission.
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.tagName === "TEXTAREA")
      event.target.form.requestSubmit();
  });

  // A search that has found nothing yet goes on by itself: each page looks at a part, so that it comes at once.
  const further = document.querySelector("[data-go-on]");
  if (further) {
    further.textContent = "Looking further back…";
    setTimeout(() => location.replace(further.href), 30);
  }

  // A link to a step opens what it points at.
  function openTarget() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const output = target && target.querySelector(":scope > details");
    if (output) output.open = true;
  }
  addEventListener("hashchange", openTarget);

  localTimes(document);
  openTarget();
  schedule();
  follow();
})();

// Keeps a page current: fetches the page again while something runs and merges the parts marked
// `data-refresh` into what is shown, so that focus, selection, scroll and opened details stay.
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
    const seconds = Number(document.body.dataset.live);
    if (seconds > 0) timer = setTimeout(refresh, 1000 * Math.min(seconds * 2 ** failures, 30));
  }

  async function refresh() {
    if (document.hidden) return;
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
      failures = 0;
    } catch {
      failures = Math.min(failures + 1, 4);
    }
    document.getElementById("connection").hidden = failures < 2;
    schedule();
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && document.body.dataset.live) refresh();
  });

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
})();

// Uploads with a progress bar and drag and drop. Without this script the form is sent as any other.
"use strict";
(() => {
  const form = document.getElementById("upload");
  if (!form) return;
  const part = (id) => document.getElementById(id);
  const [file, drop, refused, sending, bar, sent] = ["file", "drop", "refused", "sending", "bar", "sent"].map(part);
  const most = Number(form.dataset.most);
  let request = null;

  part("drop-hint").hidden = false;

  function refuse(...lines) {
    const alert = document.createElement("div");
    alert.className = "alert bad";
    for (const line of lines) alert.append(Object.assign(document.createElement("p"), { textContent: line }));
    refused.replaceChildren(alert);
  }

  function busy(on) {
    sending.hidden = !on;
    part("send").disabled = on;
    form.setAttribute("aria-busy", String(on));
  }

  const size = (bytes) => (bytes < 1e6 ? (bytes / 1e3).toFixed(1) + " kB" : (bytes / 1e6).toFixed(1) + " MB");

  function send() {
    const chosen = file.files[0];
    refused.replaceChildren();
    if (!chosen) return refuse("Choose a .zip first.");
    if (!chosen.name.toLowerCase().endsWith(".zip")) return refuse("Only ZIP files are allowed.");
    if (chosen.size > most) return refuse(`It has ${size(chosen.size)}; at most ${form.dataset.mostText} are accepted.`);
    part("sent-name").textContent = chosen.name;
    bar.value = 0;
    sent.textContent = "";
    busy(true);
    request = new XMLHttpRequest();
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      const percent = Math.floor((event.loaded / event.total) * 100);
      bar.value = percent;
      // Screen readers are told in steps of ten.
      if (percent % 10 === 0 || percent === 100)
        sent.textContent = percent === 100 ? "checking it" : `${percent} % of ${size(event.total)}`;
    });
    request.addEventListener("load", () => {
      busy(false);
      if (request.status < 400) return location.assign(request.responseURL);
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      const said = page.querySelectorAll("#refused p");
      if (said.length) return refuse(...[...said].map((p) => p.textContent));
      const heading = page.querySelector("main h1");
      const text = page.querySelector("main p");
      refuse(heading ? heading.textContent : "It was refused.", text ? text.textContent : "");
    });
    request.addEventListener("error", () => {
      busy(false);
      refuse("The server broke the connection off. Try again.");
    });
    request.addEventListener("abort", () => {
      busy(false);
      refuse("Stopped. Nothing of it was kept.");
    });
    request.open("POST", form.action);
    request.send(new FormData(form));
  }

  part("stop").addEventListener("click", () => request && request.abort());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    // The page stays, so the form may be sent again.
    event.stopPropagation();
    send();
  });

  let depth = 0;
  const mark = (on) => drop.classList.toggle("over", on);
  drop.addEventListener("dragenter", (event) => {
    event.preventDefault();
    depth += 1;
    mark(true);
  });
  drop.addEventListener("dragleave", () => {
    depth -= 1;
    if (depth <= 0) mark(false);
  });
  drop.addEventListener("dragover", (event) => event.preventDefault());
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    mark(false);
    if (event.dataTransfer.files.length > 1) return refuse("Send one file at a time.");
    if (!event.dataTransfer.files.length) return;
    file.files = event.dataTransfer.files;
    send();
  });
})();

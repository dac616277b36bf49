// Ticking several jobs: "all on this page" ticks what is seen, and the bar says how many are ticked.
// Without this script the same box sends all that are listed.
"use strict";
(() => {
  const all = document.getElementById("all");
  if (!all) return;
  const form = all.form;
  const ticked = document.getElementById("ticked");
  const boxes = () => [...form.querySelectorAll("input[name=id]")];
  // With the script it is what is ticked that counts, also when rows come while somebody looks.
  all.removeAttribute("name");

  function tell() {
    const rows = boxes();
    const number = rows.filter((box) => box.checked).length;
    ticked.textContent = number ? number + " ticked" : "";
    all.checked = number > 0 && number === rows.length;
    all.indeterminate = number > 0 && number < rows.length;
  }

  form.addEventListener("change", (event) => {
    if (event.target === all) for (const box of boxes()) box.checked = all.checked;
    if (event.target === all || event.target.name === "id") tell();
  });
  new MutationObserver(tell).observe(document.getElementById("job-rows"), { childList: true, subtree: true });
  addEventListener("pageshow", tell);
})();

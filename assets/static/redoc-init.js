"use strict";
(() => {
  const place = document.getElementById("redoc");
  const sans = "system-ui, sans-serif";
  Redoc.init(place.dataset.spec, {
    hideDownloadButton: false,
    expandResponses: "200",
    nativeScrollbars: true,
    theme: {
      colors: { primary: { main: "#2f5fd8" } },
      typography: { fontFamily: sans, headings: { fontFamily: sans }, code: { fontFamily: "ui-monospace, monospace" } },
    },
  }, place);
})();

// Starts Swagger UI on our document. Served as /docs/swagger-initializer.js.
window.ui = SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "/openapi.json",
  deepLinking: true,
  tryItOutEnabled: true,
  layout: "StandaloneLayout",
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  plugins: [SwaggerUIBundle.plugins.DownloadUrl],
});

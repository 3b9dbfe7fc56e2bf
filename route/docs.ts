/** The API's documentation as a page to try it on: Swagger UI, from this route alone. */
import { Hono } from "hono";

/** Swagger UI's own files, as the entry point found them. */
export interface Assets {
  css: Blob;
  js: Blob;
}

// Nothing from elsewhere, no script or style in the page itself; Swagger UI's icons are data URLs.
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const CACHED = "public, max-age=3600";

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>CIM route</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="docs/swagger-ui.css" />
  </head>
  <body>
    <div id="docs"></div>
    <script src="docs/swagger-ui-bundle.js"></script>
    <script src="docs/start.js"></script>
  </body>
</html>
`;

const START = `const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();
SwaggerUIBundle({
  url: new URL("openapi.json", location.href).href,
  dom_id: "#docs",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
});
`;

export function docs(assets: Assets): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    await next();
    c.header("content-security-policy", POLICY);
    c.header("x-content-type-options", "nosniff");
    c.header("referrer-policy", "no-referrer");
  });
  app.get("/", (c) => c.html(PAGE));
  app.get("/start.js", () => file(START, "text/javascript"));
  app.get("/swagger-ui-bundle.js", () => file(assets.js, "text/javascript"));
  app.get("/swagger-ui.css", () => file(assets.css, "text/css"));
  return app;
}

function file(body: string | Blob, type: string): Response {
  return new Response(body, {
    headers: { "content-type": `${type}; charset=utf-8`, "cache-control": CACHED },
  });
}

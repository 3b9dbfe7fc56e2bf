/** Swagger UI's files, where Bun finds them: beside the sources, or inside the compiled binary. */
import css from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
import js from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };
import type { Assets } from "./docs.ts";

export const assets: Assets = { css: Bun.file(css), js: Bun.file(js) };

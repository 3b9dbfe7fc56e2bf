/** The program of everywhere.ts for a page, which calls it. */
import { everywhere } from "./everywhere.ts";

Object.assign(globalThis, { everywhere });

/** The page's files as part of a binary, bundled while it is compiled. */
import { packedPage } from "../scripts/packed-page.ts" with { type: "macro" };

export const embedded = packedPage();

/** Puts the page together. */
import { render } from "preact";
import { App } from "./app.tsx";
import { Chat } from "./chat.ts";
import { type Box, Memory } from "./memory.ts";
import { Settings } from "./settings.ts";

/** How often a tab that nobody looks at is brought up to date: browsers draw nothing there. */
const HIDDEN_MS = 500;

const base = new URL(".", location.href);
const memory = new Memory({
  local: boxOf(() => localStorage),
  tab: boxOf(() => sessionStorage),
  prefix: base.pathname,
});
const settings = new Settings(memory, navigator.language);
const chat = new Chat({ routeUrl: base.href, memory, changed });
let due = false;

/** Shows everything anew, once for all that happens until the next picture. */
function changed(): void {
  if (due) return;
  due = true;
  if (document.visibilityState === "visible") requestAnimationFrame(show);
  else setTimeout(show, HIDDEN_MS);
}

function show(): void {
  due = false;
  const { texts, theme } = settings;
  document.documentElement.lang = texts.language;
  document.documentElement.dataset.theme = theme;
  const { unread } = chat.conversations;
  document.title = unread > 0 ? `(${unread}) CIM` : "CIM";
  render(<App chat={chat} settings={settings} texts={texts} changed={changed} />, document.body);
}

function boxOf(storage: () => Box): Box | null {
  try {
    return storage();
  } catch {
    return null;
  }
}

addEventListener("online", () => chat.hurry());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") chat.hurry();
});
// From anywhere to the search, as it is in other programs.
document.addEventListener("keydown", (event) => {
  if (event.key !== "k" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  document.getElementById("search-chats")?.focus();
});

void chat.start();
show();

/** What was said, newest at the bottom, going back as far as one scrolls. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Chat } from "./chat.ts";
import { day, nameOf } from "./format.ts";
import { Icon } from "./icons.tsx";
import { MessageItem } from "./message-item.tsx";
import type { Entry, Thread } from "./thread.ts";
import { useUi } from "./ui.ts";

/** So many are shown at first, and so many more each time the top is near. */
const PAGE = 60;
const BEFORE_TARGET = 20;
const NEAR_BOTTOM_PX = 48;
const NEAR_TOP_PX = 300;
const MAX_ANNOUNCED = 200;

interface MessagesProps {
  thread: Thread;
  /** The key of a message to go to. */
  target: string | null;
  onReached: () => void;
}

export function Messages({ thread, target, onReached }: MessagesProps) {
  const { chat, texts } = useUi();
  /** The seq of the first that is shown; null for the newest page. */
  const [from, setFrom] = useState<number | null>(null);
  const [away, setAway] = useState(false);
  const [marked, setMarked] = useState<string | null>(null);
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const { entries, waiting } = thread;
  const start = startOf(entries, from);
  const shown = [...entries.slice(start), ...waiting];

  useKeptPlace(box, follows, shown[0]?.key);
  useSeen(box, follows, chat, thread);

  const older = async () => {
    if (start === 0) await chat.conversations.loadOlder(thread);
    const at = startOf(thread.entries, entries[start]?.seq ?? null);
    setFrom(thread.entries[Math.max(0, at - PAGE)]?.seq ?? null);
  };
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current!;
    if (clientHeight === 0) return;
    follows.current = scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM_PX;
    setAway(!follows.current);
    // What is looked at stays while new messages come.
    if (!follows.current && from === null) setFrom(entries[start]?.seq ?? null);
    if (follows.current) {
      setFrom(null);
      chat.conversations.seen(thread);
    } else if (scrollTop < NEAR_TOP_PX && !(start === 0 && thread.complete)) void older();
  };
  // A page that does not fill the box cannot be scrolled.
  useEffect(() => {
    const { scrollHeight, clientHeight } = box.current!;
    if (clientHeight > 0 && scrollHeight <= clientHeight && !(start === 0 && thread.complete)) void older();
  }, [thread.loaded, shown.length]);

  useEffect(() => {
    const at = entries.findIndex(({ key }) => key === target);
    if (at < 0) return;
    follows.current = false;
    setFrom(entries[Math.max(0, at - BEFORE_TARGET)]!.seq);
    setMarked(target);
    setAway(true);
    onReached();
  }, [target]);
  useLayoutEffect(() => {
    if (marked) box.current?.querySelector(".marked")?.scrollIntoView({ block: "center" });
  }, [marked]);

  const toLatest = () => {
    follows.current = true;
    setFrom(null);
    setAway(false);
    setMarked(null);
    box.current!.scrollTop = box.current!.scrollHeight;
  };

  return (
    <div class="history">
      <div
        class="messages"
        ref={box}
        role="log"
        aria-live="off"
        aria-label={texts.messages}
        // Scrolled with the keyboard.
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable (WCAG 2.1.1)
        tabIndex={0}
        onScroll={scrolled}
      >
        <p class="edge dim">
          {thread.loading ? texts.loadingOlder : thread.complete && shown.length > 0 ? texts.beginning : ""}
        </p>
        {shown.length === 0 && thread.loaded && <p class="empty dim">{texts.noMessages}</p>}
        <ol>{shown.map((entry, i) => itemsFor(entry, shown[i - 1]))}</ol>
      </div>
      {away && (
        <button
          type="button"
          class="latest round"
          aria-label={texts.toLatest}
          title={texts.toLatest}
          onClick={toLatest}
        >
          <Icon name="down" />
          {thread.unread > 0 && <span class="badge">{thread.unread}</span>}
        </button>
      )}
      <Announcer entry={entries.at(-1)} />
    </div>
  );

  function itemsFor(entry: Entry, before: Entry | undefined) {
    const isNewDay = before?.at.toDateString() !== entry.at.toDateString();
    const { newAfter } = thread;
    const isFirstNew =
      newAfter !== null && !entry.own && (entry.seq ?? 0) > newAfter && (before?.seq ?? newAfter) <= newAfter;
    return (
      <>
        {isNewDay && (
          <li class="divider" key={`day ${entry.key}`}>
            <span>{day(entry.at, texts)}</span>
          </li>
        )}
        {isFirstNew && (
          <li class="divider new" key="new">
            <span>{texts.newMessages}</span>
          </li>
        )}
        <MessageItem
          key={entry.key}
          thread={thread}
          entry={entry}
          before={isNewDay || isFirstNew ? undefined : before}
          marked={entry.key === marked}
        />
      </>
    );
  }
}

function startOf(entries: readonly Entry[], from: number | null): number {
  if (from === null) return Math.max(0, entries.length - PAGE);
  return Math.max(
    0,
    entries.findIndex(({ seq }) => seq! >= from),
  );
}

/** Keeps the newest in view for who follows, and for everyone else what is looked at where it is. */
function useKeptPlace(
  box: { current: HTMLDivElement | null },
  follows: { current: boolean },
  firstKey: string | undefined,
): void {
  const was = useRef({ firstKey, height: 0 });
  useLayoutEffect(() => {
    const element = box.current!;
    if (follows.current) element.scrollTop = element.scrollHeight;
    else if (was.current.firstKey !== firstKey)
      element.scrollTop += Math.max(0, element.scrollHeight - was.current.height);
    was.current = { firstKey, height: element.scrollHeight };
  });
  useEffect(() => {
    const element = box.current!;
    const resized = new ResizeObserver(() => {
      if (follows.current) element.scrollTop = element.scrollHeight;
    });
    resized.observe(element);
    return () => resized.disconnect();
  }, []);
}

/** What is in view, in a tab that is in view, counts as read. */
function useSeen(
  box: { current: HTMLDivElement | null },
  follows: { current: boolean },
  chat: Chat,
  thread: Thread,
): void {
  const look = () => {
    const inView = follows.current && box.current !== null && box.current.clientHeight > 0;
    if (inView && document.visibilityState === "visible") chat.conversations.seen(thread);
  };
  useEffect(look);
  useEffect(() => {
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
}

/** Reads a new message aloud; the history above is for who goes there. */
function Announcer({ entry }: { entry: Entry | undefined }) {
  const { texts } = useUi();
  const first = useRef(entry?.key);
  const isNew = entry !== undefined && !entry.own && entry.key !== first.current;
  return (
    <p class="only-read" aria-live="polite">
      {isNew && `${nameOf(entry.sender, texts)}: ${(entry.text ?? "").slice(0, MAX_ANNOUNCED)}`}
    </p>
  );
}

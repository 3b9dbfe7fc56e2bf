import { Avatar } from "./avatar.tsx";
import { clock, full, nameOf } from "./format.ts";
import { Icon } from "./icons.tsx";
import type { Entry, Thread } from "./thread.ts";
import { useUi } from "./ui.ts";

/** Messages of one sender within this time stand together. */
const TOGETHER_MS = 5 * 60 * 1000;
const SHOWN_BYTES = 64;

interface MessageItemProps {
  thread: Thread;
  entry: Entry;
  before: Entry | undefined;
  marked: boolean;
}

/** One message. Its text is a text node and nothing else, whatever is in it. */
export function MessageItem({ thread, entry, before, marked }: MessageItemProps) {
  const { texts } = useUi();
  const { own, sender, at, text, data } = entry;
  const goesOn = before?.sender.userId === sender.userId && at.getTime() - before.at.getTime() < TOGETHER_MS;
  const classes = ["message", own ? "own" : "other", goesOn && "goes-on", marked && "marked"];
  return (
    <li class={classes.filter(Boolean).join(" ")}>
      {!own && !goesOn && <Avatar user={sender} />}
      <div class="bubble">
        {!goesOn && (
          <p class={own || thread.peer ? "only-read" : "sender"}>
            <bdi>{own ? texts.you : nameOf(sender, texts)}</bdi>
          </p>
        )}
        <div class="said">
          {text !== undefined ? (
            <p class="text" dir="auto">
              {text}
            </p>
          ) : (
            <p class="text data">
              <span class="dim">{texts.data(data?.length ?? 0)}</span> <code>{hex(data)}</code>
            </p>
          )}
          <p class="meta">
            <time dateTime={at.toISOString()} title={full(at, texts)}>
              {clock(at, texts)}
            </time>
            {own && <MarkIcon entry={entry} />}
          </p>
        </div>
      </div>
      {entry.mark === "failed" && <Failure thread={thread} entry={entry} />}
    </li>
  );
}

function MarkIcon({ entry: { mark } }: { entry: Entry }) {
  const { texts } = useUi();
  return (
    <span class={`mark ${mark}`} title={texts.mark[mark]}>
      <Icon name={mark} />
      <span class="only-read">{texts.mark[mark]}</span>
    </span>
  );
}

function Failure({ thread, entry }: { thread: Thread; entry: Entry }) {
  const { chat, texts } = useUi();
  return (
    <p class="failure" role="alert">
      <span>
        {texts.mark.failed}: {entry.error?.message}
      </span>
      <button type="button" class="quiet" onClick={() => chat.conversations.again(thread, entry)}>
        {texts.tryAgain}
      </button>
      <button type="button" class="quiet" onClick={() => chat.conversations.drop(thread, entry)}>
        {texts.discard}
      </button>
    </p>
  );
}

function hex(data: Uint8Array = new Uint8Array()): string {
  return data.subarray(0, SHOWN_BYTES).toHex() + (data.length > SHOWN_BYTES ? "…" : "");
}

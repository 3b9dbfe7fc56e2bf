import { useEffect, useState } from "preact/hooks";
import { useUi } from "./ui.ts";

/** How it stands with the connection, while there is none. */
export function StatusBar() {
  const { chat, texts } = useUi();
  const { link } = chat;
  const { pending } = chat.conversations;
  const [now, setNow] = useState(Date.now());
  const until = link.state === "waiting" ? link.until : 0;

  useEffect(() => {
    if (until === 0) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, [until]);

  const waiting = pending > 0 && texts.queued(pending);
  const seconds = Math.ceil((until - now) / 1000);
  return (
    <div class="status" role="status">
      {link.state === "connecting" && (
        <p>
          {texts.connecting} {waiting}
        </p>
      )}
      {link.state === "waiting" && (
        <p>
          {texts.noConnection} {/* Seconds that run are not to be read aloud one by one. */}
          <span aria-hidden="true">{texts.nextTry(seconds)}</span> {waiting}
          <button type="button" onClick={() => chat.hurry()}>
            {texts.tryNow}
          </button>
        </p>
      )}
    </div>
  );
}

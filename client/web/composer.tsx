/** Where one writes. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { tooLong } from "./conversations.ts";
import { EmojiPicker } from "./emoji-picker.tsx";
import { nameOf } from "./format.ts";
import { Icon } from "./icons.tsx";
import type { Thread } from "./thread.ts";
import { useUi } from "./ui.ts";

/** What Safari says of a key that an input method took, since it ends the composition before it tells of the key. */
const INPUT_METHOD_KEY = 229;

export function Composer({ thread }: { thread: Thread }) {
  const { chat, texts } = useUi();
  const [text, setText] = useState(thread.draft);
  const [picking, setPicking] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const label = thread.peer ? texts.messageTo(nameOf(thread.peer, texts)) : texts.messageTo(texts.everyone);
  const excess = tooLong(text);

  useLayoutEffect(() => {
    thread.draft = text;
    // As high as what is written, up to what the style allows.
    const { style } = area.current!;
    style.height = "auto";
    const { scrollHeight } = area.current!;
    // 0 while it is out of view, behind a phone's list.
    if (scrollHeight > 0) style.height = `${scrollHeight}px`;
  }, [text]);

  const send = () => {
    if (text.trim() === "" || excess) return;
    chat.conversations.send(thread, text);
    setText("");
    area.current?.focus();
  };
  const insert = (emoji: string) => {
    const { selectionStart, selectionEnd } = area.current!;
    setText(text.slice(0, selectionStart) + emoji + text.slice(selectionEnd));
    const at = selectionStart + emoji.length;
    queueMicrotask(() => area.current?.setSelectionRange(at, at));
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {picking && (
        <EmojiPicker
          onPick={insert}
          onClose={(byKey) => {
            setPicking(false);
            if (byKey) area.current?.focus();
          }}
        />
      )}
      {excess && (
        <p class="error" role="alert">
          {texts.tooLong(excess.bytes, excess.limit)}
        </p>
      )}
      <div class="field">
        <button
          type="button"
          class="quiet round"
          aria-label={texts.emoji}
          title={texts.emoji}
          aria-expanded={picking}
          onClick={() => setPicking(!picking)}
        >
          <Icon name="emoji" />
        </button>
        <textarea
          ref={area}
          rows={1}
          dir="auto"
          value={text}
          placeholder={label}
          aria-label={label}
          enterkeyhint="send"
          // A phone's keyboard comes up in its place.
          onPointerDown={(event) => event.pointerType === "touch" && setPicking(false)}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || isChoosing(event)) return;
            event.preventDefault();
            send();
          }}
        />
        <button
          type="submit"
          class="primary round"
          aria-label={texts.send}
          title={texts.send}
          disabled={text.trim() === "" || excess !== null}
        >
          <Icon name="send" />
        </button>
      </div>
    </form>
  );
}

/** Enter also ends the choice of an input method, as for Chinese: then nothing is sent. */
function isChoosing({ isComposing, keyCode }: KeyboardEvent): boolean {
  return isComposing || keyCode === INPUT_METHOD_KEY;
}

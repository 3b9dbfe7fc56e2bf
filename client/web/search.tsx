import { useEffect, useRef, useState } from "preact/hooks";
import { brief, nameOf } from "./format.ts";
import { Icon } from "./icons.tsx";
import type { Entry, Thread } from "./thread.ts";
import { useUi } from "./ui.ts";

const TYPING_MS = 250;
const AROUND = 40;

interface SearchProps {
  thread: Thread;
  onClose: () => void;
  onPick: (key: string) => void;
}

/** Looks through a conversation, further back each time it is asked to. */
export function Search({ thread, onClose, onPick }: SearchProps) {
  const { chat, texts } = useUi();
  const [words, setWords] = useState("");
  const [found, setFound] = useState<Entry[] | null>(null);
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const asked = useRef("");

  const look = async (needle: string) => {
    asked.current = needle;
    if (!needle) return setFound(null);
    setBusy(true);
    const answer = await chat.conversations.search(thread, needle);
    if (asked.current !== needle) return;
    setFound(answer);
    setBusy(false);
  };
  useEffect(() => input.current?.focus(), []);
  useEffect(() => {
    const timer = setTimeout(() => void look(words.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [words]);

  const count = found?.length ?? 0;
  return (
    <search class="find" onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <div class="search">
        <Icon name="search" />
        <input
          ref={input}
          type="search"
          value={words}
          placeholder={texts.searchMessages}
          aria-label={texts.searchMessages}
          onInput={(event) => setWords(event.currentTarget.value)}
        />
        <button type="button" class="quiet round" aria-label={texts.close} onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      <p class="dim" role="status">
        {busy ? texts.searching : found && (thread.complete ? texts.foundAll(count) : texts.found(count))}
      </p>
      {found && (
        <ul>
          {found.map((entry) => (
            <li key={entry.key}>
              <button type="button" class="row" onClick={() => onPick(entry.key)}>
                <bdi class="name">{entry.own ? texts.you : nameOf(entry.sender, texts)}</bdi>
                <time class="dim">{brief(entry.at, texts)}</time>
                <Match text={entry.text!} words={words.trim()} />
              </button>
            </li>
          ))}
        </ul>
      )}
      {found && !busy && !thread.complete && (
        <button type="button" class="quiet more" onClick={() => void look(words.trim())}>
          {texts.searchFurther}
        </button>
      )}
    </search>
  );
}

function Match({ text, words }: { text: string; words: string }) {
  const at = Math.max(0, text.toLocaleLowerCase().indexOf(words.toLocaleLowerCase()));
  const from = Math.max(0, at - AROUND);
  const end = at + words.length;
  return (
    <span class="preview">
      <bdi>
        {from > 0 && "…"}
        {text.slice(from, at)}
        <mark>{text.slice(at, end)}</mark>
        {text.slice(end, end + AROUND)}
        {text.length > end + AROUND && "…"}
      </bdi>
    </span>
  );
}

/** Who there is to talk to: conversations, people online, and a search for both. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { User } from "../sdk/types.ts";
import { Avatar } from "./avatar.tsx";
import { DownloadLink } from "./download-link.tsx";
import { brief, nameOf } from "./format.ts";
import { Icon } from "./icons.tsx";
import { PasswordDialog } from "./password-dialog.tsx";
import { SettingsButtons } from "./settings-buttons.tsx";
import type { Thread } from "./thread.ts";
import { useUi } from "./ui.ts";

const REFRESH_MS = 10 * 1000;
const TYPING_MS = 250;

export function Sidebar({ onPick }: { onPick: (thread: Thread) => void }) {
  const { chat, texts } = useUi();
  const [words, setWords] = useState("");
  const [changing, setChanging] = useState(false);
  const found = useFound(words);
  useRefresh();

  const needle = words.trim().toLocaleLowerCase();
  const chats = chat.conversations.all.filter(({ peer }) =>
    nameOf(peer, texts).toLocaleLowerCase().includes(needle),
  );
  const people = needle ? found : chat.people;
  const strangers = needle ? people.list.filter((user) => !chats.some(isWith(user))) : people.list;
  const pick = (thread: Thread) => {
    setWords("");
    onPick(thread);
  };

  return (
    <nav class="sidebar" aria-label={texts.chats}>
      <Me />
      <div class="search">
        <Icon name="search" />
        <input
          id="search-chats"
          type="search"
          value={words}
          placeholder={texts.searchChats}
          aria-label={texts.searchChats}
          onInput={(event) => setWords(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") setWords("");
          }}
        />
      </div>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the keys are those of the buttons in it */}
      <div class="lists" onKeyDown={moveByArrows}>
        <h2 id="chats-title">{texts.chats}</h2>
        <ul aria-labelledby="chats-title">
          {chats.map((thread) => (
            <ChatRow key={thread.conversation} thread={thread} onPick={pick} />
          ))}
        </ul>
        <h2 id="people-title">{texts.peopleOnline}</h2>
        <ul aria-labelledby="people-title">
          {strangers.map((user) => (
            <li key={user.userId}>
              <button type="button" class="row person" onClick={() => pick(chat.conversations.with(user))}>
                <Avatar user={user} online={chat.people.online.get(user.userId)} />
                <bdi class="name">{nameOf(user, texts)}</bdi>
              </button>
            </li>
          ))}
        </ul>
        {strangers.length === 0 && <p class="dim none">{needle ? texts.nobodyFound : texts.nobodyOnline}</p>}
        {!needle && people.more && (
          <button type="button" class="quiet more" onClick={() => void chat.refreshPeople(true)}>
            {texts.showMore}
          </button>
        )}
      </div>
      <footer class="foot">
        <button type="button" class="quiet" onClick={() => setChanging(true)}>
          {texts.changePassword}
        </button>
        <DownloadLink newTab />
      </footer>
      {changing && <PasswordDialog onClose={() => setChanging(false)} />}
    </nav>
  );
}

function Me() {
  const { chat, texts } = useUi();
  const leave = () => {
    const { pending } = chat.conversations;
    if (pending === 0 || confirm(texts.unsentLost(pending))) void chat.signOut();
  };
  return (
    <header class="me">
      <Avatar user={chat.me} online={chat.link.state === "ready"} />
      <bdi class="name">{nameOf(chat.me, texts)}</bdi>
      <SettingsButtons />
      <button
        type="button"
        class="quiet round"
        aria-label={texts.signOut}
        title={texts.signOut}
        onClick={leave}
      >
        <Icon name="leave" />
      </button>
    </header>
  );
}

function ChatRow({ thread, onPick }: { thread: Thread; onPick: (thread: Thread) => void }) {
  const { chat, texts } = useUi();
  const { peer, last, unread } = thread;
  const text = last && (last.text ?? texts.data(last.data?.length ?? 0));
  const who = last?.own ? texts.you : peer === null ? nameOf(last?.sender ?? null, texts) : "";
  return (
    <li>
      <button
        type="button"
        class="row"
        aria-current={chat.conversations.open === thread ? "true" : undefined}
        onClick={() => onPick(thread)}
      >
        <Avatar user={peer} online={peer ? chat.people.online.get(peer.userId) : undefined} />
        <bdi class="name">{nameOf(peer, texts)}</bdi>
        {last && <time class="dim">{brief(last.at, texts)}</time>}
        <span class="preview dim">
          {last ? (
            <bdi>
              {who && `${who}: `}
              {text}
            </bdi>
          ) : (
            peer === null && texts.everyoneHint
          )}
        </span>
        {unread > 0 && (
          <span class="badge">
            <span aria-hidden="true">{unread > 99 ? "99+" : unread}</span>
            <span class="only-read">{texts.unread(unread)}</span>
          </span>
        )}
      </button>
    </li>
  );
}

/** People found for what is typed, once the typing pauses. */
function useFound(words: string): { list: User[]; more: boolean } {
  const { chat } = useUi();
  const [found, setFound] = useState<{ list: User[]; more: boolean }>({ list: [], more: false });
  const asked = useRef("");
  useEffect(() => {
    const name = words.trim();
    asked.current = name;
    if (!name) return;
    const find = async () => {
      const answer = await chat.findPeople(name);
      if (asked.current === name) setFound(answer);
    };
    const timer = setTimeout(() => void find(), TYPING_MS);
    return () => clearTimeout(timer);
  }, [words]);
  return found;
}

/** Who is online is asked again and again, while somebody looks. */
function useRefresh(): void {
  const { chat } = useUi();
  useEffect(() => {
    const refresh = () => {
      if (document.visibilityState === "visible") void chat.refreshPeople();
    };
    const timer = setInterval(refresh, REFRESH_MS);
    document.addEventListener("visibilitychange", refresh);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", refresh);
    };
  }, []);
}

function moveByArrows(event: KeyboardEvent): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const rows = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>("button")];
  const next = rows[rows.indexOf(document.activeElement as HTMLElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

function isWith(user: User): (thread: Thread) => boolean {
  return ({ peer }) => peer?.userId === user.userId;
}

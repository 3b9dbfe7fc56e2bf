/** One conversation: what was said, and what is being written. */
import { useState } from "preact/hooks";
import { Avatar } from "./avatar.tsx";
import { Composer } from "./composer.tsx";
import { nameOf } from "./format.ts";
import { Icon } from "./icons.tsx";
import { Messages } from "./messages.tsx";
import { Search } from "./search.tsx";
import type { Thread } from "./thread.ts";
import { useUi } from "./ui.ts";

export function Conversation({ thread, onBack }: { thread: Thread; onBack: () => void }) {
  const { chat, texts } = useUi();
  const [searching, setSearching] = useState(false);
  const [target, setTarget] = useState<string | null>(null);
  const { peer } = thread;
  const online = peer ? chat.people.online.get(peer.userId) : undefined;
  return (
    <section class="conversation" aria-label={nameOf(peer, texts)}>
      <header>
        <button type="button" class="quiet round back" aria-label={texts.back} onClick={onBack}>
          <Icon name="back" />
        </button>
        <Avatar user={peer} online={online} />
        <div class="title">
          <h2>
            <bdi>{nameOf(peer, texts)}</bdi>
          </h2>
          <p class="dim">
            {peer === null
              ? texts.everyoneHint
              : online !== undefined && (online ? texts.online : texts.offline)}
          </p>
        </div>
        <button
          type="button"
          class="quiet round"
          aria-label={texts.searchMessages}
          title={texts.searchMessages}
          aria-expanded={searching}
          onClick={() => setSearching(!searching)}
        >
          <Icon name="search" />
        </button>
      </header>
      {searching && (
        <Search
          thread={thread}
          onClose={() => setSearching(false)}
          onPick={(key) => {
            setSearching(false);
            setTarget(key);
          }}
        />
      )}
      <Messages thread={thread} target={target} onReached={() => setTarget(null)} />
      <Composer thread={thread} />
    </section>
  );
}

/** The page: the way in, or the chat. */
import { useState } from "preact/hooks";
import { Conversation } from "./conversation.tsx";
import { Elsewhere } from "./elsewhere.tsx";
import { Sidebar } from "./sidebar.tsx";
import { SignIn } from "./sign-in.tsx";
import { StatusBar } from "./status-bar.tsx";
import type { Thread } from "./thread.ts";
import { type Ui, UiContext } from "./ui.ts";

export function App(ui: Ui) {
  return (
    <UiContext.Provider value={ui}>{ui.chat.me ? <Messenger {...ui} /> : <SignIn />}</UiContext.Provider>
  );
}

function Messenger({ chat }: Ui) {
  // On a phone there is room for one of the two.
  const [inList, setInList] = useState(true);
  const pick = (thread: Thread) => {
    chat.show(thread);
    setInList(false);
  };
  const isElsewhere = chat.link.state === "elsewhere";
  return (
    <>
      <div class={`messenger ${inList ? "in-list" : ""}`} inert={isElsewhere}>
        <StatusBar />
        <Sidebar onPick={pick} />
        {chat.open && (
          <Conversation key={chat.open.conversation} thread={chat.open} onBack={() => setInList(true)} />
        )}
      </div>
      {isElsewhere && <Elsewhere />}
    </>
  );
}

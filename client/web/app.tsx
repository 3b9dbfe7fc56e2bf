/** The page: the way in, or the chat. */
import { useEffect, useState } from "preact/hooks";
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
    chat.conversations.show(thread);
    // So that a phone's own way back leads to the list.
    if (inList) history.pushState(null, "");
    setInList(false);
  };
  useEffect(() => {
    const back = () => setInList(true);
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);
  useEffect(() => {
    const onPhone = matchMedia("(max-width: 46rem)").matches;
    const next = onPhone ? (inList ? ".row[aria-current]" : ".back") : "textarea";
    document.querySelector<HTMLElement>(next)?.focus();
  }, [inList, chat.conversations.open]);
  const isElsewhere = chat.link.state === "elsewhere";
  return (
    <>
      <main class={`messenger ${inList ? "in-list" : ""}`} inert={isElsewhere}>
        <h1 class="only-read">CIM</h1>
        <StatusBar />
        <Sidebar onPick={pick} />
        {chat.conversations.open && (
          <Conversation
            key={chat.conversations.open.conversation}
            thread={chat.conversations.open}
            onBack={() => history.back()}
          />
        )}
      </main>
      {isElsewhere && <Elsewhere />}
    </>
  );
}

import { useEffect, useRef } from "preact/hooks";
import { useUi } from "./ui.ts";

/** The session goes on in another tab, or on another device: this page waits until it is wanted. */
export function Elsewhere() {
  const { chat, texts } = useUi();
  const dialog = useRef<HTMLDialogElement>(null);
  const where = chat.link.state === "elsewhere" ? chat.link.where : "tab";

  useEffect(() => {
    dialog.current?.showModal();
    // Of two tabs the one that is looked at has the session.
    const look = () => {
      if (where === "tab" && document.visibilityState === "visible") void chat.resume();
    };
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, [where]);

  return (
    <dialog
      ref={dialog}
      class="card modal"
      aria-labelledby="elsewhere-title"
      onCancel={(event) => event.preventDefault()}
    >
      <img src="icon.svg" alt="" width="48" height="48" />
      <h2 id="elsewhere-title">{where === "tab" ? texts.elsewhereTab : texts.elsewhereDevice}</h2>
      <button type="button" class="primary" onClick={() => void chat.resume()}>
        {texts.useHere}
      </button>
      <button type="button" class="quiet" onClick={() => void chat.signOut()}>
        {texts.signOut}
      </button>
    </dialog>
  );
}

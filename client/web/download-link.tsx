import { useUi } from "./ui.ts";

/** To the client for a terminal. @param newTab where following it would leave a chat */
export function DownloadLink({ newTab = false }: { newTab?: boolean }) {
  const { texts } = useUi();
  const tab = newTab ? { target: "_blank", rel: "noopener" } : {};
  return (
    <a class="download" href={`download?lang=${texts.language}`} {...tab}>
      {texts.forTerminal}
      {newTab && <span class="only-read"> {texts.inNewTab}</span>}
    </a>
  );
}

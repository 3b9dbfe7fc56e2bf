/** What every part of the page is given. */
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Chat } from "./chat.ts";
import type { Settings } from "./settings.ts";
import type { Texts } from "./texts/texts.ts";

export interface Ui {
  chat: Chat;
  settings: Settings;
  texts: Texts;
  /** Show everything anew. */
  changed: () => void;
}

export const UiContext = createContext<Ui>(null as unknown as Ui);

export function useUi(): Ui {
  return useContext(UiContext);
}

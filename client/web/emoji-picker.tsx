import { useLayoutEffect, useRef } from "preact/hooks";
import { EMOJI_PAGES, emojiPage } from "../console/emoji.ts";
import { useUi } from "./ui.ts";

const ALL = Array.from({ length: EMOJI_PAGES }, (_, page) => emojiPage(page + 1)).flat();

interface EmojiPickerProps {
  onPick: (emoji: string) => void;
  /** `byKey`: with Escape, not by a click, which has chosen where the focus goes. */
  onClose: (byKey: boolean) => void;
}

/** A grid to be walked with the arrow keys, of which Tab sees one cell. */
export function EmojiPicker({ onPick, onClose }: EmojiPickerProps) {
  const { texts } = useUi();
  const grid = useRef<HTMLFieldSetElement>(null);
  const cells = () => [...grid.current!.querySelectorAll("button")];

  useLayoutEffect(() => {
    cells()[0]?.focus();
    // Not pointerdown: the messages above are scrolled with it.
    const outside = (event: MouseEvent) => {
      if (!grid.current?.parentElement?.contains(event.target as Node)) onClose(false);
    };
    document.addEventListener("click", outside);
    return () => document.removeEventListener("click", outside);
  }, []);

  const walk = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      event.preventDefault();
      return onClose(true);
    }
    const all = cells();
    const columns = all.filter(({ offsetTop }) => offsetTop === all[0]!.offsetTop).length;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = all[all.indexOf(event.target as HTMLButtonElement) + step];
    if (!next) return;
    for (const cell of all) cell.tabIndex = cell === next ? 0 : -1;
    next.focus();
  };

  return (
    <fieldset class="emoji card" aria-label={texts.emoji} ref={grid} onKeyDown={walk}>
      {ALL.map((emoji, i) => (
        <button key={emoji} type="button" tabIndex={i === 0 ? 0 : -1} onClick={() => onPick(emoji)}>
          {emoji}
        </button>
      ))}
    </fieldset>
  );
}

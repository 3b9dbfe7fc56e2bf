import type { User } from "../sdk/types.ts";
import { hueOf, initial, nameOf } from "./format.ts";
import { Icon } from "./icons.tsx";
import { useUi } from "./ui.ts";

/** A circle in the account's colour; decoration beside its name. */
export function Avatar({ user, online }: { user: User | null; online?: boolean }) {
  const { texts } = useUi();
  return (
    <span
      class={`avatar ${user ? "" : "everyone"}`}
      style={user ? { "--hue": hueOf(user.userId) } : undefined}
      aria-hidden="true"
    >
      {user ? initial(nameOf(user, texts)) : <Icon name="everyone" />}
      {online && <span class="dot" />}
    </span>
  );
}

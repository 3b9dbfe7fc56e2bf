/** The way in: sign in, or make an account. */
import { useState } from "preact/hooks";
import type { CimError } from "../../proto/status.ts";
import { DownloadLink } from "./download-link.tsx";
import { MIN_PASSWORD_LENGTH } from "./password-dialog.tsx";
import { SettingsButtons } from "./settings-buttons.tsx";
import type { Texts } from "./texts/texts.ts";
import { useUi } from "./ui.ts";

const MAX_NAME_LENGTH = 64;

export function SignIn() {
  const { chat, texts } = useUi();
  const [create, setCreate] = useState(false);
  const [busy, setBusy] = useState(false);
  const [visible, setVisible] = useState(false);
  const [error, setError] = useState<string | null>(
    chat.over && chat.over.reason !== "logged_out" ? texts.sessionOver : null,
  );

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    const userName = (data.get("name") as string).trim();
    const password = data.get("password") as string;
    const mistake = mistakeIn(userName, password, create, texts);
    setError(mistake?.text ?? null);
    if (mistake) {
      (form.elements.namedItem(mistake.field) as HTMLInputElement).focus();
      return;
    }
    setBusy(true);
    try {
      await chat.signIn({ userName, password, create, forLong: data.has("stay") });
    } catch (refusal) {
      setError(explain(refusal as CimError, create, texts));
      setBusy(false);
    }
  };

  return (
    <main class="sign-in">
      <form class="card fields" onSubmit={(event) => void submit(event)} noValidate aria-busy={busy}>
        <img src="icon.svg" alt="" width="56" height="56" />
        <h1>CIM</h1>
        <p class="dim">{texts.tagline}</p>
        <fieldset class="switch">
          <button type="button" aria-pressed={!create} onClick={() => setCreate(false)}>
            {texts.signIn}
          </button>
          <button type="button" aria-pressed={create} onClick={() => setCreate(true)}>
            {texts.createAccount}
          </button>
        </fieldset>
        <label>
          {texts.userName}
          <input
            name="name"
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            dir="auto"
            aria-describedby={error ? "sign-in-error" : undefined}
          />
        </label>
        <label>
          {texts.password}
          <input
            name="password"
            type={(visible ? "text" : "password") as "password"}
            autocomplete={create ? "new-password" : "current-password"}
            aria-describedby={error ? "sign-in-error" : create ? "password-hint" : undefined}
          />
        </label>
        {create && (
          <p class="hint dim" id="password-hint">
            {texts.passwordHint}
          </p>
        )}
        <label class="check">
          <input type="checkbox" checked={visible} onChange={() => setVisible(!visible)} />
          <span>{texts.showPassword}</span>
        </label>
        <label class="check">
          <input type="checkbox" name="stay" defaultChecked />
          <span>
            {texts.staySignedIn} <small class="dim">{texts.staySignedInHint}</small>
          </span>
        </label>
        <p class="error" role="alert" id="sign-in-error">
          {error}
        </p>
        <button type="submit" class="primary" disabled={busy}>
          {busy ? texts.signingIn : create ? texts.createAccount : texts.signIn}
        </button>
      </form>
      <DownloadLink />
      <div class="corner">
        <SettingsButtons />
      </div>
    </main>
  );
}

function mistakeIn(
  userName: string,
  password: string,
  create: boolean,
  texts: Texts,
): { field: "name" | "password"; text: string } | null {
  const length = Array.from(userName).length;
  if (length === 0) return { field: "name", text: texts.noName };
  if (length > MAX_NAME_LENGTH) return { field: "name", text: texts.longName };
  // Without one is for the route to decide: under CIM_AUTH=open an account needs none.
  const isShort = password !== "" && Array.from(password).length < MIN_PASSWORD_LENGTH;
  return create && isShort ? { field: "password", text: texts.shortPassword } : null;
}

function explain({ status, message }: CimError, create: boolean, texts: Texts): string {
  if (status === "REPEAT_LOGIN") return texts.signedInElsewhere;
  if (status === "ACCOUNT_MISMATCH") return create ? texts.nameTaken : texts.wrongCredentials;
  return texts.status(status, message);
}

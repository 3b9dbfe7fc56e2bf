import { useEffect, useRef, useState } from "preact/hooks";
import type { CimError } from "../../proto/status.ts";
import { nameOf } from "./format.ts";
import { useUi } from "./ui.ts";

export const MIN_PASSWORD_LENGTH = 8;

/** A new password in place of the old one; under CIM_AUTH=open there may be none. */
export function PasswordDialog({ onClose }: { onClose: () => void }) {
  const { chat, texts } = useUi();
  const [error, setError] = useState<string | null>(null);
  const [step, setStep] = useState<"asking" | "busy" | "done">("asking");
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const [old, password] = [data.get("old") as string, data.get("new") as string];
    if (Array.from(password).length < MIN_PASSWORD_LENGTH) return setError(texts.shortPassword);
    setError(null);
    setStep("busy");
    try {
      await chat.changePassword(password, old);
      setStep("done");
    } catch (refusal) {
      const { status, message } = refusal as CimError;
      setError(status === "ACCOUNT_MISMATCH" ? texts.wrongOldPassword : texts.status(status, message));
      setStep("asking");
    }
  };

  return (
    <dialog ref={dialog} class="card modal" aria-labelledby="password-title" onClose={onClose}>
      <h2 id="password-title">{texts.changePassword}</h2>
      {step === "done" ? (
        <p role="status">{texts.passwordChanged}</p>
      ) : (
        <form class="fields" id="password-form" onSubmit={(event) => void submit(event)} noValidate>
          {/* For the browser's password manager. */}
          <input hidden autocomplete="username" value={nameOf(chat.me, texts)} readOnly />
          <Field name="old" label={texts.oldPassword} kind="current-password" wrong={error} />
          <Field name="new" label={texts.newPassword} kind="new-password" wrong={error} />
          <p class="hint dim">{texts.passwordHint}</p>
          <p class="error" role="alert" id="password-error">
            {error}
          </p>
          <button type="submit" class="primary" disabled={step === "busy"}>
            {step === "busy" ? texts.signingIn : texts.changePassword}
          </button>
        </form>
      )}
      <button type="button" class="quiet" onClick={() => dialog.current?.close()}>
        {texts.close}
      </button>
    </dialog>
  );
}

interface FieldProps {
  name: string;
  label: string;
  kind: "current-password" | "new-password";
  wrong: string | null;
}

function Field({ name, label, kind, wrong }: FieldProps) {
  const described = wrong ? "password-error" : undefined;
  return (
    <label>
      {label}
      <input name={name} type="password" autocomplete={kind} aria-describedby={described} />
    </label>
  );
}

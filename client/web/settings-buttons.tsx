import { Icon } from "./icons.tsx";
import { useUi } from "./ui.ts";

/** Language and theme. */
export function SettingsButtons() {
  const { settings, texts, changed } = useUi();
  const then = (change: () => void) => () => {
    change();
    changed();
  };
  const { otherLanguage } = texts;
  return (
    <>
      <button
        type="button"
        class="quiet"
        lang={otherLanguage === "English" ? "en" : "zh-CN"}
        onClick={then(() => settings.switchLanguage())}
      >
        {otherLanguage}
      </button>
      <button
        type="button"
        class="quiet round"
        aria-label={texts.theme[settings.theme]}
        title={texts.theme[settings.theme]}
        onClick={then(() => settings.switchTheme())}
      >
        <Icon name={settings.theme} />
      </button>
    </>
  );
}

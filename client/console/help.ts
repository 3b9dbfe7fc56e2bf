import { OPTIONS, type Option, type OptionName } from "./options.ts";
import type { Texts } from "./texts/texts.ts";

/** What `--help` prints. */
export function helpText(version: string, { help }: Texts): string {
  const rows = Object.entries(OPTIONS).map(([name, option]: [string, Option]) => {
    const flag = `${option.short ? `-${option.short}, ` : ""}--${name}${option.value && ` ${option.value}`}`;
    const notes = [option.env, option.default].filter(Boolean).join(", ");
    return `  ${flag.padEnd(20)}${help.meanings[name as OptionName]}${notes && ` (${notes})`}`;
  });
  return [
    `cim-client ${version}: ${help.title}`,
    "",
    `${help.usage}: cim-client --user NAME [--route URL] [--device NAME] [--lang LANGUAGE] [--json]`,
    "",
    help.brackets,
    ...rows,
    "",
    ...help.notes,
  ].join("\n");
}

/**
 * Bundles for browsers: the SDK as it is, with a small codec and tables instead of protobuf-es (see
 * protobuf-browser.ts). `bun run sdk` writes the SDK as a module for any page: dist/cim-sdk.js.
 */
import { join } from "node:path";
import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import type { BunPlugin } from "bun";
import type { Field } from "../client/sdk/protobuf-browser.ts";
import { file_cim } from "../proto/gen/cim_pb.ts";

export const ROOT = join(import.meta.dir, "..");

/** @throws AggregateError with what is wrong with the sources */
export async function bundleForBrowser(entry: string): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [join(ROOT, entry)],
    target: "browser",
    minify: true,
    plugins: [slim],
    define: { Bun: "undefined", "process.env.NODE_ENV": '"production"' },
  });
  return outputs[0]!.text();
}

const slim: BunPlugin = {
  name: "slim",
  setup(build) {
    build.onResolve({ filter: /^@bufbuild\/protobuf$/ }, () => ({
      path: join(ROOT, "client/sdk/protobuf-browser.ts"),
    }));
    build.onLoad({ filter: /\/proto\/gen\/cim_pb\.ts$/ }, () => ({ contents: tables(), loader: "js" }));
    // All of it but the version is for others.
    build.onLoad({ filter: /\/package\.json$/ }, async ({ path }) => {
      const { version } = await Bun.file(path).json();
      return { exports: { default: { version } }, loader: "object" };
    });
  },
};

/** A module with what is imported from cim_pb.ts: a table for each message, and the enums. */
export function tables(): string {
  const written = new Set<DescMessage>();
  const lines = file_cim.enums.map(
    (one) => `export const ${one.name} = ${JSON.stringify(Object.fromEntries(valuesOf(one)))};`,
  );
  const write = (message: DescMessage): void => {
    if (written.has(message)) return;
    written.add(message);
    const known = message.fields.filter(({ fieldKind }) => fieldKind !== "map");
    for (const { message: inner } of known) if (inner) write(inner);
    lines.push(`export const ${message.name}Schema = [${known.map(row).join(", ")}];`);
  };
  for (const message of file_cim.messages) write(message);
  return lines.join("\n");
}

function valuesOf({ values }: DescEnum): [string, number][] {
  return values.map(({ localName, number }) => [localName, number]);
}

function row(field: DescField): string {
  const { number, localName, fieldKind, oneof, message, proto } = field;
  const isList = fieldKind === "list";
  const plain: Omit<Field, "of"> = {
    no: number,
    name: localName,
    type: typeOf(field),
    ...(isList && { list: true }),
    ...((oneof || proto.proto3Optional || (message && !isList)) && { explicit: true }),
    ...(oneof && { oneof: oneof.localName }),
  };
  const of = message ? `, of: ${message.name}Schema` : "";
  return JSON.stringify(plain).replace(/}$/, `${of}}`);
}

const TYPES: Partial<Record<ScalarType, Field["type"]>> = {
  [ScalarType.INT64]: "int64",
  [ScalarType.UINT64]: "uint64",
  [ScalarType.UINT32]: "uint32",
  [ScalarType.BOOL]: "bool",
  [ScalarType.STRING]: "string",
  [ScalarType.BYTES]: "bytes",
};

/** @throws Error for a type that protobuf-browser.ts does not know */
function typeOf({ name, parent, message, enum: choice, scalar, fieldKind }: DescField): Field["type"] {
  if (message) return "message";
  const known = choice ? "uint32" : TYPES[scalar!];
  if (!known || (fieldKind === "list" && known !== "string" && known !== "bytes")) {
    throw new Error(`${parent.name}.${name}: protobuf-browser.ts does not know this type`);
  }
  return known;
}

if (import.meta.main) {
  const bytes = await Bun.write("dist/cim-sdk.js", await bundleForBrowser("client/sdk/client.ts"));
  console.log(`dist/cim-sdk.js  ${Math.round(bytes / 1024)} KiB`);
}

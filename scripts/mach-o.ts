/**
 * Signs programs for macOS ad hoc, as its linker does: with a checksum of each page and nobody's name. One that was
 * changed after it was signed is killed at its start, and what Bun compiles for Intel still has the signature of Bun
 * itself (https://developer.apple.com/documentation/technotes/tn3126-inside-code-signing-hashes).
 */

const MAGIC_64 = 0xfeedfacf;
const HEADER_BYTES = 32;
const LC_SEGMENT_64 = 0x19;
const LC_CODE_SIGNATURE = 0x1d;

const EMBEDDED_SIGNATURE = 0xfade0cc0;
const CODE_DIRECTORY = 0xfade0c02;
const VERSION = 0x20400;
const ADHOC_LINKER_SIGNED = 0x20002;
const SHA256 = 2;
const MAIN_BINARY = 1;

const SUPER_BLOB_BYTES = 20;
const DIRECTORY_BYTES = 88;
/** What linkers call a program that nobody named. */
const IDENTIFIER = "a.out\0";
const PAGE_BITS = 12;
const PAGE_BYTES = 2 ** PAGE_BITS;
const HASH_BYTES = 32;
const SEGMENT_ALIGNMENT = 16 * 1024;

/** @throws Error when it is no 64-bit program with a signature at its end */
export function signAdHoc(program: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const { text, linkEdit, signature } = readCommands(program);
  const given = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const codeBytes = given.getUint32(signature + 8, true);
  const pages = Math.ceil(codeBytes / PAGE_BYTES);
  const hashes = DIRECTORY_BYTES + IDENTIFIER.length;
  const directoryBytes = hashes + pages * HASH_BYTES;
  const signatureBytes = SUPER_BLOB_BYTES + directoryBytes;

  const signed = new Uint8Array(codeBytes + signatureBytes);
  signed.set(program.subarray(0, codeBytes));
  const view = new DataView(signed.buffer);
  // The sizes stand in the first page: they come before its checksum.
  const linkEditBytes = BigInt(signed.length) - view.getBigUint64(linkEdit + 40, true);
  view.setUint32(signature + 12, signatureBytes, true);
  view.setBigUint64(linkEdit + 32, BigInt(alignUp(Number(linkEditBytes), SEGMENT_ALIGNMENT)), true);
  view.setBigUint64(linkEdit + 48, linkEditBytes, true);

  const words = (offset: number, values: number[]) => {
    for (const [i, value] of values.entries()) view.setUint32(offset + 4 * i, value);
  };
  const directory = codeBytes + SUPER_BLOB_BYTES;
  words(codeBytes, [EMBEDDED_SIGNATURE, signatureBytes, 1, 0, SUPER_BLOB_BYTES]);
  words(directory, [CODE_DIRECTORY, directoryBytes, VERSION, ADHOC_LINKER_SIGNED]);
  words(directory + 16, [hashes, DIRECTORY_BYTES, 0, pages, codeBytes]);
  signed.set([HASH_BYTES, SHA256, 0, PAGE_BITS], directory + 36);
  view.setBigUint64(directory + 72, view.getBigUint64(text + 48, true));
  view.setBigUint64(directory + 80, BigInt(MAIN_BINARY));
  signed.set(new TextEncoder().encode(IDENTIFIER), directory + DIRECTORY_BYTES);
  for (let page = 0; page < pages; page++) {
    const from = page * PAGE_BYTES;
    const code = signed.subarray(from, Math.min(from + PAGE_BYTES, codeBytes));
    const hash = new Bun.CryptoHasher("sha256").update(code).digest();
    signed.set(hash, directory + hashes + page * HASH_BYTES);
  }
  return signed;
}

/** Where the load commands stand that signing is about. */
function readCommands(program: Uint8Array): { text: number; linkEdit: number; signature: number } {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  if (view.getUint32(0, true) !== MAGIC_64) throw new Error("not a 64-bit Mach-O program");
  const found: Record<string, number> = {};
  let offset = HEADER_BYTES;
  for (let left = view.getUint32(16, true); left > 0; left--) {
    const command = view.getUint32(offset, true);
    if (command === LC_CODE_SIGNATURE) found.signature = offset;
    if (command === LC_SEGMENT_64) found[nameAt(program, offset + 8)] = offset;
    offset += view.getUint32(offset + 4, true);
  }
  const { signature, __TEXT: text, __LINKEDIT: linkEdit } = found;
  if (!signature || !text || !linkEdit) throw new Error("a Mach-O program without a signature to replace");
  const end = view.getUint32(signature + 8, true) + view.getUint32(signature + 12, true);
  if (end !== program.length) throw new Error(`the signature ends at ${end} of ${program.length} bytes`);
  return { text, linkEdit, signature };
}

function nameAt(program: Uint8Array, offset: number): string {
  return new TextDecoder().decode(program.subarray(offset, offset + 16)).replace(/\0+$/, "");
}

function alignUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

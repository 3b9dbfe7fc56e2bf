import { describe, expect, test } from "bun:test";
import { signAdHoc } from "../../scripts/mach-o.ts";

const PAGE = 4096;

/** A program as small as one can be, of `pages` pages and a bit, with a signature of `oldBytes` that no longer holds. */
function program({ pages = 3, rest = 16, oldBytes = 3000 } = {}): Uint8Array<ArrayBuffer> {
  const codeBytes = pages * PAGE + rest;
  const linkEdit = codeBytes - 64;
  const file = new Uint8Array(codeBytes + oldBytes).map((_, i) => (i * 31) % 251);
  const view = new DataView(file.buffer);
  const write = (offset: number, words: number[]) => {
    for (const [i, word] of words.entries()) view.setUint32(offset + 4 * i, word, true);
  };
  write(0, [0xfeedfacf, 0x01000007, 3, 2, 3, 72 + 72 + 16, 0x85, 0]);
  const segment = (offset: number, name: string, from: number, size: number) => {
    write(offset, [0x19, 72, 0, 0, 0, 0, from, 1, 0x4000, 0, from, 0, size, 0, 5, 5, 0, 0]);
    file.set(new TextEncoder().encode(name), offset + 8);
  };
  segment(32, "__TEXT", 0, linkEdit);
  segment(104, "__LINKEDIT", linkEdit, file.length - linkEdit);
  write(176, [0x1d, 16, codeBytes, oldBytes]);
  return file;
}

/** What macOS looks at, read by itself: the sizes, and the pages whose checksum is another. */
function check(file: Uint8Array) {
  const view = new DataView(file.buffer);
  const [offset, bytes] = [view.getUint32(184, true), view.getUint32(188, true)];
  const directory = offset + view.getUint32(offset + 16);
  const word = (i: number) => view.getUint32(directory + 4 * i);
  const [hashes, identifier, pages, limit] = [word(4), word(5), word(7), word(8)];
  const wrong: number[] = [];
  for (let page = 0; page < pages; page++) {
    const code = file.subarray(page * PAGE, Math.min((page + 1) * PAGE, limit));
    const at = directory + hashes + 32 * page;
    const sum = new Bun.CryptoHasher("sha256").update(code).digest("hex");
    if (sum !== Buffer.from(file.subarray(at, at + 32)).toString("hex")) wrong.push(page);
  }
  return {
    magic: [view.getUint32(offset).toString(16), word(0).toString(16)],
    endsWithTheFile: offset + bytes === file.length && offset + view.getUint32(offset + 4) === file.length,
    linkEdit: Number(view.getBigUint64(104 + 40, true) + view.getBigUint64(104 + 48, true)) === file.length,
    identifier: new TextDecoder().decode(file.subarray(directory + identifier, directory + hashes)),
    covers: limit === offset,
    pages,
    wrong,
  };
}

const RIGHT = {
  magic: ["fade0cc0", "fade0c02"],
  endsWithTheFile: true,
  linkEdit: true,
  identifier: "a.out\0",
  covers: true,
  wrong: [],
};

describe("a program for macOS", () => {
  test("has the checksum of each page, the last of which may be short", () => {
    expect(check(signAdHoc(program()))).toEqual({ ...RIGHT, pages: 4 });
    expect(check(signAdHoc(program({ rest: 0 })))).toEqual({ ...RIGHT, pages: 3 });
  });

  test("has its sizes right whether the signature was longer or shorter", () => {
    expect(check(signAdHoc(program({ oldBytes: 50 })))).toEqual({ ...RIGHT, pages: 4 });
    expect(check(signAdHoc(program({ oldBytes: 100_000 })))).toEqual({ ...RIGHT, pages: 4 });
  });

  test("is the same program, and signed twice the same file", () => {
    const [before, signed] = [program(), signAdHoc(program())];
    const end = 3 * PAGE + 16;
    expect([signed.subarray(192, end), signAdHoc(signed)]).toEqual([before.subarray(192, end), signed]);
  });

  test("is refused when it is none, or has nothing to replace, or something after its signature", () => {
    const unsigned = program();
    unsigned[176] = 0;
    const longer = new Uint8Array(program().length + 1);
    longer.set(program());
    const refusals = [new Uint8Array(100), unsigned, longer].map((file) => () => signAdHoc(file));
    for (const [i, why] of ["not a 64-bit", "without a signature", "of 15305 bytes"].entries())
      expect(refusals[i]!).toThrow(why);
  });
});

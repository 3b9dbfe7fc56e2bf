/** The one frame in these bytes, without its length prefix. */
export function unprefixed(frame: Uint8Array): Uint8Array {
  return frame.subarray(frame.findIndex((byte) => byte < 0x80) + 1);
}

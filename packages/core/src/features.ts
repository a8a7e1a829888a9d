/** What the host's WebAssembly can do that older ones cannot. */

/** `(func (result v128) return_call 0)`, as a module: a tail call of a function that gives a vector. */
const PROBE = [
  [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  [0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b],
  [0x03, 0x02, 0x01, 0x00],
  [0x0a, 0x06, 0x01, 0x04, 0x00, 0x12, 0x00, 0x0b],
];

/** Whether the host runs what the core compiles guest code to: it needs tail calls and vectors of 128 bits. */
export function canCompile(): boolean {
  return WebAssembly.validate(Uint8Array.from(PROBE.flat()));
}

/** WebAssembly as text, by the WebAssembly Binary Toolkit: loaded when somebody wants to read some. */

/** The lines of function `name` in `module`, without what is around it. */
export async function functionText(module: Uint8Array, name: string): Promise<string[]> {
  const { default: load } = await import("wabt");
  const wabt = await load();
  // The toolkit reads whole buffers, whatever part of one it is given.
  const parsed = wabt.readWasm(Uint8Array.from(module), { readDebugNames: true, simd: true, tail_call: true });
  try {
    parsed.applyNames();
    const lines = parsed.toText({ foldExprs: false, inlineExport: false }).split("\n");
    const start = lines.findIndex((line) => line.startsWith(`  (func $${name} `));
    const length = lines.slice(start + 1).findIndex((line) => /^ {2}\(/.test(line));
    return lines.slice(start, length < 0 ? undefined : start + 1 + length).map((line) => line.slice(2));
  } finally {
    parsed.destroy();
  }
}

/** `v86-process.js FIRMWARE KERNEL INITRD COMMAND_LINE MEMORY_BYTES`: a guest in v86, its serial port on stdin and stdout. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { V86 } from "v86";

const [firmware = "", kernel = "", initrd = "", commandLine = "", memoryBytes = ""] = process.argv.slice(2);

const emulator = new V86({
  wasm_path: fileURLToPath(new URL("v86.wasm", import.meta.resolve("v86"))),
  bios: { buffer: contentOf(firmware) },
  bzimage: { buffer: contentOf(kernel) },
  initrd: { buffer: contentOf(initrd) },
  cmdline: commandLine,
  memory_size: Number(memoryBytes),
  autostart: true,
});
emulator.add_listener("serial0-output-byte", (byte) => {
  process.stdout.write(Uint8Array.of(byte));
});
process.stdin.setEncoding("latin1");
process.stdin.on("data", (text: string) => {
  emulator.serial0_send(text);
});

function contentOf(path: string): ArrayBuffer {
  return Uint8Array.from(readFileSync(path)).buffer;
}

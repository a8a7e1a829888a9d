/** The page: boots an image in a worker and connects its console to a terminal. `?image=debian` chooses another. */

import { images } from "@terrarium/images";
import { boot, type Machine } from "@terrarium/machine";
import { Terminal } from "@xterm/xterm";

const DEFAULT_IMAGE = "debian-cloud";

const status = element("status");
const terminal = new Terminal({ cols: 80, rows: 25, cursorBlink: true });
terminal.open(element("terminal"));
terminal.focus();

try {
  const machine = await start();
  const exit = await machine.exited;
  status.textContent = `The guest has ended: ${exit.reason}.`;
} catch (error) {
  status.textContent = error instanceof Error ? error.message : String(error);
}

async function start(): Promise<Machine> {
  const name = new URLSearchParams(location.search).get("image") ?? DEFAULT_IMAGE;
  const image = images.find((candidate) => candidate.name === name);
  if (image === undefined) throw new Error(`There is no image "${name}".`);
  status.textContent = `Booting ${image.description}.`;
  const machine = await boot(image);
  connect(machine);
  return machine;
}

function connect({ console }: Machine): void {
  console.onData((bytes) => {
    terminal.write(bytes);
  });
  const send = (data: string | Uint8Array): void => {
    // A key pressed while the guest ends has nowhere to go.
    console.write(data).catch(() => undefined);
  };
  terminal.onData(send);
  // Reports that are no text, such as mouse positions, come with one byte a character.
  terminal.onBinary((data) => {
    send(Uint8Array.from(data, (character) => character.charCodeAt(0)));
  });
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no element "${id}".`);
  return found;
}

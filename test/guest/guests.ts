/** Guests for tests: real ones, from the images that set-up built. */

import debian from "@terrarium/images/debian";
import debianCloud from "@terrarium/images/debian-cloud";
import debianI386 from "@terrarium/images/debian-i386";
import {
  boot,
  type BootOptions,
  type Image,
  type Machine,
  type MachineConfig,
  type Snapshot,
} from "@terrarium/machine";

export { debian, debianCloud, debianI386 };

/** Longest any of the guests may take to its prompt, on a machine that does other things as well. */
const BOOT_TIMEOUT = "290s";

/** Boots `image` and waits for its prompt. */
export async function bootToShell(
  image: MachineConfig & Pick<Image, "prompt">,
  options: BootOptions = {},
): Promise<Machine> {
  const machine = await boot(image, options);
  try {
    await machine.console.waitFor(image.prompt, { timeout: BOOT_TIMEOUT });
    return machine;
  } catch (error) {
    await machine.stop();
    throw error;
  }
}

let atShell: Promise<Snapshot> | undefined;

/** A guest with the cloud kernel at its prompt. Booted once for all tests; each gets a copy. */
export async function cloudGuest(): Promise<Machine> {
  atShell ??= takeSnapshot();
  return await boot(await atShell);
}

async function takeSnapshot(): Promise<Snapshot> {
  await using machine = await bootToShell(debianCloud, { decompressOnHost: true });
  // The agent starts beside the shell; a command shows that it is there.
  await machine.run("true");
  return await machine.snapshot();
}

/** Guests for tests: real ones, from the images that set-up built. */

import debian from "@terrarium/images/debian";
import debianCloud from "@terrarium/images/debian-cloud";
import debianI386 from "@terrarium/images/debian-i386";
import { boot, type BootOptions, type Image, type Machine } from "@terrarium/machine";

export { debian, debianCloud, debianI386 };

/** Longest any of the guests may take to its prompt, on a busy machine. */
export const BOOT_TIMEOUT = "110s";

/** Boots `image` and waits for its prompt. */
export async function bootToShell(image: Image, options: BootOptions = {}): Promise<Machine> {
  const machine = await boot(image, options);
  try {
    await machine.console.waitFor(image.prompt, { timeout: BOOT_TIMEOUT });
    return machine;
  } catch (error) {
    await machine.stop();
    throw error;
  }
}

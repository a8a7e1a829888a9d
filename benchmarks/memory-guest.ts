/** Boots the image named on the command line, with the engine named behind it, to its prompt, says what the core takes beside guest RAM, and ends: what `memory.ts` watches. */

import { images } from "@terrarium/images";
import { boot, type Engine } from "@terrarium/machine";

const image = images.find(({ name }) => name === process.argv[2]);
if (image === undefined) throw new Error(`there is no image ${process.argv[2] ?? ""}`);
await using machine = await boot(image, { engine: process.argv[3] as Engine });
await machine.console.waitFor(image.prompt, { timeout: "10min" });
const { coreBytes } = await machine.stats();
process.stdout.write(String(coreBytes));

/** A store of images with one to run, and the command line on it. */

import { expect } from "vitest";
import { terrarium as callTerrarium, type Outcome } from "../guest/terrarium.js";
import { archive, makeDirectory, ROOT, writeLayout, type Member } from "./images.js";

/** The host's programs, as options of a container. */
export const usr = ["-v", "/usr:/usr:ro"];

/** Makes a store, which commands use from now on, with the image `test:1` of an empty root and `members`; its directory. */
export async function makeStore(config: Record<string, unknown>, ...members: Member[]): Promise<string> {
  const store = makeDirectory();
  process.env["TERRARIUM_STORE"] = store;
  const layout = writeLayout({ layers: [await archive(...ROOT, ...members)], config });
  expect(await output("load", "-i", `oci:${layout}`)).toBe("test:1\n");
  return store;
}

/** Removes all containers of the store, and their volumes. */
export async function emptyStore(): Promise<void> {
  const { stdout } = await terrarium("ps", "-aq");
  if (stdout !== "") await terrarium("rm", "-f", "-v", ...stdout.trimEnd().split("\n"));
}

/** What becomes of a command. */
export async function terrarium(...args: string[]): Promise<Outcome> {
  return await callTerrarium(args);
}

/** What a command prints, which must go well. */
export async function output(...args: string[]): Promise<string> {
  const { stdout, stderr, status } = await terrarium(...args);
  expect([stderr, status], args.join(" ")).toEqual(["", 0]);
  return stdout;
}

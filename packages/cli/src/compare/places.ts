/** Where the one program runs: on the host, in a container on the host's kernel, in a machine. */

import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { boot as bootContainer, oci } from "@terrarium/container";
import debianCloud from "@terrarium/images/debian-cloud";
import { boot as bootMachine } from "@terrarium/machine";
import { CACHE, PROGRAM, programEntry, withFiles } from "@terrarium/measure";
import { storeDirectory } from "../containers/place.js";

/** Makes the program print its line as soon as it can. */
const SHORTEST = ["0", "getppid"];

/** The end of that line: the checksum. */
const LINE = / [0-9a-f]{16}\r?\n/;

/** Longest until a line appears. */
const TIMEOUT = "10min";

/** Where containers see the program. */
const TARGET = "/measured";

export interface Place {
  readonly name: string;
  /** Starts it, and in it the program. */
  start(): Promise<Started>;
}

/** A place in which the program has run. */
export interface Started extends AsyncDisposable {
  /** From the call to the program's first output. */
  readonly milliseconds: number;
  /** Runs the program with these arguments; resolves with what it printed. */
  run(args: readonly string[]): Promise<string>;
}

/** What the program printed, and when (`performance.now()`). */
interface Shown {
  readonly text: string;
  readonly at: number;
}

/** The host's own processes. */
export async function hostPlace(program: string): Promise<Place> {
  return await ofRuns("host", (args) => runOnHost(program, args));
}

/** A container for each run. Its root is that of the OCI image, or has nothing but the program. */
export async function containerPlace(program: string, image: string | undefined): Promise<Place> {
  const rootfs = join(CACHE, "empty-root");
  await mkdir(rootfs, { recursive: true });
  const volumes = [{ source: dirname(program), target: TARGET, readonly: true }];
  return await ofRuns("container", async (args) => {
    const options = { entrypoint: [`${TARGET}/${PROGRAM}`], command: args, terminal: false, volumes };
    await using container =
      image === undefined
        ? await bootContainer({ ...options, rootfs })
        : await bootContainer(oci(image, { store: storeDirectory() }), options);
    const text = await container.console.waitFor(LINE, { timeout: TIMEOUT });
    return { text, at: performance.now() };
  });
}

/** A machine with Debian's kernel, which has the program among its files. */
export async function machinePlace(program: string): Promise<Place> {
  const image = await withFiles(debianCloud, [await programEntry(program)], "compare.img");
  return {
    name: "machine",
    async start() {
      const begun = performance.now();
      await using owner = new AsyncDisposableStack();
      const machine = owner.use(await bootMachine(image));
      await machine.console.waitFor(image.prompt, { timeout: TIMEOUT });
      await machine.console.write(`${[PROGRAM, ...SHORTEST].join(" ")}\n`);
      await machine.console.waitFor(LINE, { timeout: TIMEOUT });
      const milliseconds = performance.now() - begun;
      const whole = owner.move();
      return {
        milliseconds,
        run: async (args) => {
          const { stdout, stderr } = await machine.run([PROGRAM, ...args]);
          return stdout + stderr;
        },
        [Symbol.asyncDispose]: () => whole.disposeAsync(),
      };
    },
  };
}

/** A place that begins anew with every run. Rejects where the program does not run there. */
async function ofRuns(name: string, run: (args: readonly string[]) => Promise<Shown>): Promise<Place> {
  await run(SHORTEST);
  return {
    name,
    async start() {
      const begun = performance.now();
      const { at } = await run(SHORTEST);
      return {
        milliseconds: at - begun,
        run: async (args) => (await run(args)).text,
        [Symbol.asyncDispose]: () => Promise.resolve(),
      };
    },
  };
}

async function runOnHost(program: string, args: readonly string[]): Promise<Shown> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const { promise, resolve, reject } = Promise.withResolvers<Shown>();
  let [text, at] = ["", 0];
  child.stdout.on("data", (bytes: Buffer) => {
    if (text === "") at = performance.now();
    text += bytes.toString();
  });
  let complaint = "";
  child.stderr.on("data", (bytes: Buffer) => {
    complaint += bytes.toString();
  });
  child.once("error", reject);
  child.once("close", (code, signal) => {
    if (code === 0) resolve({ text, at });
    else reject(new Error(`it ended with ${String(code ?? signal)}: ${complaint.trim()}`));
  });
  return await promise;
}

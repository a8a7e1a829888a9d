/** `terrarium pull` and `terrarium push`: images from and to a registry. */

import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type {
  Credentials,
  Images,
  ImageSummary,
  PlatformOptions,
  Progress,
  RegistryOptions,
} from "@terrarium/container";
import { MachineError } from "@terrarium/machine";
import { Command } from "commander";
import { openImages } from "../../containers/place.js";
import { size } from "../../containers/table.js";

interface Flags {
  readonly platform?: string;
  readonly creds?: string;
  readonly insecure?: true;
}

/** The command that fetches. */
export function pullCommand(): Command {
  return withRegistryOptions(new Command("pull").description("fetch an image from its registry"))
    .option("--platform <os/architecture>", "which of several images to fetch")
    .action(async (image: string, flags: Flags) => {
      const platform = flags.platform === undefined ? {} : { platform: flags.platform };
      const pulled = await pullShown(await openImages(), image, {
        ...(await registryOptions(image, flags)),
        ...platform,
      });
      process.stdout.write(`${pulled.name}\n${pulled.digest}\n`);
    });
}

/** The command that sends. */
export function pushCommand(): Command {
  return withRegistryOptions(new Command("push").description("send an image to its registry")).action(
    async (image: string, flags: Flags) => {
      const [images, options] = [await openImages(), await registryOptions(image, flags)];
      await shown((onProgress) => images.push(image, { ...options, onProgress }));
    },
  );
}

function withRegistryOptions(command: Command): Command {
  return command
    .argument("<image>", "its name, with the registry")
    .option("--creds <user:password>", "who asks; else what `docker login` has noted")
    .option("--insecure", "use HTTP");
}

/** Fetches an image and shows how far it is. */
export async function pullShown(
  images: Images,
  name: string,
  options: RegistryOptions & PlatformOptions,
): Promise<ImageSummary> {
  const known = options.credentials === undefined ? await registryOptions(name, {}) : {};
  return await shown((onProgress) => images.pull(name, { ...known, ...options, onProgress }));
}

/** On a terminal, one line that changes. */
async function shown<T>(work: (onProgress: (progress: Progress) => void) => Promise<T>): Promise<T> {
  const { stderr } = process;
  let last = 0;
  try {
    return await work(({ digest, bytes, totalBytes }) => {
      if (!stderr.isTTY || (bytes < totalBytes && performance.now() - last < 100)) return;
      last = performance.now();
      stderr.write(`\r\x1b[K${digest.slice(0, 19)} ${size(bytes)} of ${size(totalBytes)}`);
    });
  } finally {
    if (stderr.isTTY) stderr.write("\r\x1b[K");
  }
}

async function registryOptions(image: string, { creds, insecure }: Flags): Promise<RegistryOptions> {
  const credentials = creds === undefined ? await noted(image.split("/")[0] ?? "") : asCredentials(creds);
  return {
    ...(credentials === undefined ? {} : { credentials }),
    ...(insecure === undefined ? {} : { insecure }),
  };
}

function asCredentials(text: string): Credentials {
  const colon = text.indexOf(":");
  if (colon > 0) return { username: text.slice(0, colon), password: text.slice(colon + 1) };
  const details = { option: "creds", value: "a text", expected: "as in user:password" };
  throw new MachineError("OPTION_INVALID", "The option --creds must be as in user:password.", details);
}

/** What `docker login` has written down for a registry, where it writes passwords down. */
async function noted(registry: string): Promise<Credentials | undefined> {
  const directory = process.env["DOCKER_CONFIG"] ?? join(homedir(), ".docker");
  const text = await readFile(join(directory, "config.json"), "utf8").catch(() => "{}");
  try {
    const { auths } = JSON.parse(text) as { auths?: Record<string, { auth?: string }> };
    const auth = auths?.[registry]?.auth;
    return auth === undefined ? undefined : asCredentials(Buffer.from(auth, "base64").toString());
  } catch {
    return undefined;
  }
}

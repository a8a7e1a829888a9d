/** The options of `run`, as people know them from docker, made options of a container. */

import { posix, resolve } from "node:path";
import type { ContainerOptions, Network, Port, User, Volume } from "@terrarium/container";
import { MachineError, type Bytes } from "@terrarium/machine";
import type { Command } from "commander";
import { isVolumeName, volumeAt } from "../../containers/volumes.js";
import { fromUser } from "../../paths.js";

/** What Commander makes of the words. */
export interface RunFlags {
  readonly interactive?: true;
  readonly tty?: true;
  readonly rm?: true;
  readonly detach?: true;
  readonly volume?: readonly string[];
  readonly env?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly name?: string;
  readonly hostname?: string;
  readonly memory?: string;
  readonly cpus?: string;
  readonly pidsLimit?: string;
  readonly network?: string;
  readonly publish?: readonly string[];
  readonly readOnly?: true;
  readonly entrypoint?: string;
  readonly stopSignal?: string;
  readonly isolation?: "container" | "machine";
  readonly platform?: string;
}

/** For an option that may be repeated. */
export function repeated(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** Adds the options that say what a container is. */
export function withContainerOptions(command: Command): Command {
  return (
    command
      .option("-i, --interactive", "pass this input on")
      .option("-t, --tty", "give it a terminal")
      .option("--rm", "remove it when it ends")
      .option("--name <name>", "what it is called")
      .option("-v, --volume <host:container>", "a directory of the host, or a named volume; may be repeated", repeated)
      .option("-e, --env <name=value>", "an environment variable; may be repeated", repeated)
      .option("-w, --workdir <path>", "directory it runs in")
      .option("-u, --user <name:group>", "whose it is, by names or numbers")
      .option("-h, --hostname <name>", "name of the host it sees")
      .option("-m, --memory <size>", "the most memory, such as 512m")
      .option("--cpus <number>", "how many processors' time, such as 0.5")
      .option("--pids-limit <number>", "the most processes")
      .option("--network <kind>", "its network: none, host, bridge (which leaves net.ipv4.ip_forward on) or user")
      .option("-p, --publish <host:container>", "a port of this machine that leads in; may be repeated", repeated)
      .option("--read-only", "refuse writing to its root")
      .option("--entrypoint <program>", "what stands before the command")
      .option("--stop-signal <name>", "what asks it to end")
      .option("--platform <os/architecture>", "which of several images to fetch")
      .helpOption("--help", "show what there is")
      // What stands behind the image is the command's, options too.
      .passThroughOptions()
  );
}

/** Options of the container, but for where it keeps what it writes. */
export function containerOptions(flags: RunFlags, command: readonly string[]): ContainerOptions {
  const volumes = (flags.volume ?? []).map(volume);
  return {
    terminal: flags.tty === true,
    ...(command.length === 0 ? {} : { command }),
    // As docker has it: an empty word takes the image's entry point away.
    ...(flags.entrypoint === undefined ? {} : { entrypoint: flags.entrypoint === "" ? [] : [flags.entrypoint] }),
    ...(flags.env === undefined ? {} : { env: variables(flags.env) }),
    ...(flags.workdir === undefined ? {} : { cwd: flags.workdir }),
    ...(flags.user === undefined ? {} : { user: userOf(flags.user) }),
    ...(flags.hostname === undefined ? {} : { hostname: flags.hostname }),
    ...(flags.memory === undefined ? {} : { memory: bytes(flags.memory) }),
    ...(flags.cpus === undefined ? {} : { cpus: Number(flags.cpus) }),
    ...(flags.pidsLimit === undefined ? {} : { pidsLimit: Number(flags.pidsLimit) }),
    ...networkOptions(flags),
    ...(flags.stopSignal === undefined ? {} : { stopSignal: flags.stopSignal }),
    ...(flags.readOnly === undefined ? {} : { writes: "none" }),
    ...(volumes.length === 0 ? {} : { volumes }),
  };
}

/** `options` with a new volume for each path that an image wants one at, and the caller gives none. */
export function withVolumes(options: ContainerOptions, wanted: readonly string[]): ContainerOptions {
  const given = options.volumes ?? [];
  const taken = new Set(given.map(({ target }) => posix.resolve(target)));
  const missing = new Set(wanted.map((path) => posix.resolve("/", path)).filter((path) => !taken.has(path)));
  if (missing.size === 0) return options;
  const depth = ({ target }: Volume): number => target.split("/").filter(Boolean).length;
  const volumes = [...given, ...[...missing].map((target) => volumeAt(target))];
  // One in another is mounted behind that.
  return { ...options, volumes: volumes.toSorted((a, b) => depth(a) - depth(b)) };
}

/** Where ports are to lead in there has to be a network: the bridge for root, else the one for everybody. */
function networkOptions({ network, publish = [] }: RunFlags): ContainerOptions {
  const own = process.geteuid?.() === 0 ? "bridge" : "user";
  const kind = network ?? (publish.length > 0 ? own : undefined);
  return {
    // The library checks the word; it is the same check for every caller.
    ...(kind === undefined ? {} : { network: kind as Network }),
    ...(publish.length === 0 ? {} : { ports: publish.map(port) }),
  };
}

/** `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`. */
function port(text: string): Port {
  const match = /^(?:(?:([\d.]+):)?(\d*):)?(\d+)(?:\/(tcp|udp))?$/.exec(text);
  if (match === null) throw invalid("publish", text, "as in 80, 8080:80, 127.0.0.1:8080:80 or 53:53/udp");
  const [, address, host, container, protocol] = match;
  return {
    container: Number(container),
    ...(host === undefined || host === "" ? {} : { host: Number(host) }),
    ...(address === undefined ? {} : { address }),
    ...(protocol === undefined ? {} : { protocol: protocol as "tcp" | "udp" }),
  };
}

/** `NAME=VALUE`, or `NAME` for the value it has here. */
export function variables(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.flatMap((word) => {
      const equals = word.indexOf("=");
      if (equals >= 0) return [[word.slice(0, equals), word.slice(equals + 1)]];
      const own = process.env[word];
      return own === undefined ? [] : [[word, own]];
    }),
  );
}

/** A name for the container to know, or numbers. */
export function userOf(text: string): User {
  return text;
}

/** `HOST:CONTAINER[:ro]`; a host's path without a slash is a volume's name, and without one there is a volume of its own. */
function volume(text: string): Volume {
  if (/^\/[^:]*$/.test(text)) return volumeAt(text);
  const [source = "", target = "", mode, ...more] = text.split(":");
  if (source === "" || !target.startsWith("/") || more.length > 0 || !["ro", "rw", undefined].includes(mode)) {
    throw invalid("volume", text, "as in /host:/container, /host:/container:ro or name:/container");
  }
  const readonly = mode === "ro";
  if (source.includes("/") || source.startsWith(".")) {
    return { source: resolve(fromUser(source)), target, readonly };
  }
  if (!isVolumeName(source)) throw invalid("volume", text, "a volume's name of letters, digits, . _ -");
  return { ...volumeAt(target, source), readonly };
}

const UNITS: Readonly<Record<string, string>> = { "": "B", b: "B", k: "KiB", m: "MiB", g: "GiB" };

/** Docker's sizes, `512m`, besides ours. */
function bytes(text: string): Bytes {
  const match = /^(\d+)([bkmg]?)$/i.exec(text);
  const unit = match?.[2] === undefined ? undefined : UNITS[match[2].toLowerCase()];
  return (unit === undefined ? text : `${match?.[1] ?? ""}${unit}`) as Bytes;
}

function invalid(option: string, value: string, expected: string): MachineError<"OPTION_INVALID"> {
  const message = `The option --${option} must be ${expected}, not ${JSON.stringify(value)}.`;
  return new MachineError("OPTION_INVALID", message, { option, value, expected });
}

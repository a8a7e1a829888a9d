/** What a caller may ask of a container. */

import { isIPv4 } from "node:net";
import {
  MachineError,
  parseBytes,
  parseDuration,
  type Bytes,
  type Duration,
  type StandardStreams,
} from "@terrarium/machine";
import { malformed, signalNumber } from "@terrarium/machine/guest-kit";
import { descriptorsOf, type Descriptors } from "./handing.js";

/** How long a process may set itself up where nobody says, in milliseconds. What takes longer waits for a file system. */
export const SETUP_LIMIT_MS = 60_000;

/** A directory of the host that the container sees, past its root's layers. */
export interface Volume {
  /** Path on the host. */
  readonly source: string;
  /** Path in the container. */
  readonly target: string;
  /** Whether the container may only read. */
  readonly readonly?: boolean;
  /** Whether a directory that is empty first becomes what the root has at `target`. */
  readonly fill?: boolean;
}

/** Whose a process is. */
export type User = string | { readonly uid: number; readonly gid: number };

/** What becomes of what is written. */
export type Writes = "memory" | "directory" | "none" | { readonly layer: string };

/**
 * A container's network: a loopback device of its own (`"none"`), the host's (`"host"`), a private bridge behind the
 * host's address (`"bridge"`, for the host's root), or one that the runtime makes up and carries on as connections of its
 * own (`"user"`, for everybody). Containers at the bridge reach each other, unless they are isolated. A bridge switches
 * `net.ipv4.ip_forward` on, and leaves it so: others may have come to rely on it.
 */
export type Network = "none" | "host" | "bridge" | "user" | { readonly kind: "bridge"; readonly isolated?: boolean };

/** A port of the host that leads to one of the container. */
export interface Port {
  /** Port in the container. */
  readonly container: number;
  /** Port of the host; whichever is free where nobody says. */
  readonly host?: number;
  /** Address of the host; `0.0.0.0`, which is any, where nobody says. */
  readonly address?: string;
  readonly protocol?: "tcp" | "udp";
}

/** Options of a container. The streams are its first program's, and only without a terminal. */
export interface ContainerOptions extends StandardStreams {
  /** What runs as its first process, and its arguments; `["/bin/sh"]` where neither the caller nor an image says. */
  readonly command?: readonly string[];
  /** What stands before `command`. With one of the caller's, an image's command does not count. */
  readonly entrypoint?: readonly string[];
  /** The signal by which it is asked to end; `"SIGTERM"` where nobody says. */
  readonly stopSignal?: string;
  /**
   * Whether the first process is a small one of the runtime's, which starts the program, hands signals on to it and waits
   * for processes that have lost their parent. Without, the program is the first process itself.
   */
  readonly init?: boolean;
  /** Environment variables to add. */
  readonly env?: Readonly<Record<string, string>>;
  /** Directory to run in; `/` where nobody says. */
  readonly cwd?: string;
  /**
   * User and group in the container, by their numbers, or as in `"www-data"`, `"www-data:tty"`, `"33:33"` for its
   * /etc/passwd and /etc/group to know; its root where nobody says.
   */
  readonly user?: User;
  /** Name of the host as the container sees it. */
  readonly hostname?: string;
  /** Whether the console is a terminal (the default), or pipes. */
  readonly terminal?: boolean;
  /**
   * What becomes of what is written to the root: kept in memory for as long as the container runs (`"memory"`, the
   * default), written to the directory itself (`"directory"`), refused (`"none"`), or kept apart in the directory
   * `layer`, which is made where there is none, and from which `Images.commit()` makes a new image. A layer is one
   * container's at a time: the next waits for its end, and is refused (`LAYER_IN_USE`) where that does not come.
   * Before Linux 6.6, memory is a directory that ends with the container, in `TMPDIR` (or /tmp) or else /var/tmp;
   * `UNSUPPORTED` where neither is on a disk.
   */
  readonly writes?: Writes;
  /** Directories of the host. */
  readonly volumes?: readonly Volume[];
  /** `"none"` where nobody says. There is IPv4 on a network; IPv6 only on loopback devices, and the host's. */
  readonly network?: Network;
  /** Ports of the host that lead into it. */
  readonly ports?: readonly Port[];
  /** Addresses of name servers; the host's where nobody says. */
  readonly dns?: readonly string[];
  /** The most memory it may use. */
  readonly memory?: Bytes;
  /** How many processors' time it may use, such as 0.5. */
  readonly cpus?: number;
  /** The most processes it may have. */
  readonly pidsLimit?: number;
  /**
   * How long it may be set up; `"60s"` where nobody says. What takes longer waits for a file system of the host's that
   * does not answer, and ends with `TIMEOUT`.
   */
  readonly setupTimeout?: Duration;
  /** Calls it off while it is set up; `boot()` rejects with `ABORTED`. */
  readonly signal?: AbortSignal;
}

/** A container described by its parts. */
export interface ContainerConfig extends ContainerOptions {
  /** Directory with its root file system. */
  readonly rootfs: string;
  /** Directories that are seen where `rootfs` has nothing, topmost first. */
  readonly lowers?: readonly string[];
}

/** A network in which everything is decided, as the helper takes it. */
export interface ResolvedNetwork {
  readonly kind: "none" | "host" | "bridge" | "user";
  readonly isolated: boolean;
  readonly ports: readonly Required<Port>[];
  readonly dns: readonly string[];
}

/** A config in which everything is decided. */
export interface ResolvedConfig {
  readonly rootfs: string;
  /** Directories that lie below `rootfs`, topmost first. */
  readonly lowers: readonly string[];
  readonly command: readonly string[];
  readonly stopSignal: number;
  readonly init: boolean;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: User;
  readonly hostname: string;
  readonly terminal: boolean;
  /** Streams of the first process that are the caller's. */
  readonly own: Descriptors;
  readonly writes: Writes;
  readonly volumes: readonly Volume[];
  readonly network: ResolvedNetwork;
  readonly memoryBytes: number | undefined;
  readonly cpus: number | undefined;
  readonly pidsLimit: number | undefined;
  readonly setupMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Checks `config` and fills in the defaults.
 * @throws MachineError `OPTION_INVALID`, `OPTIONS_CONFLICT`
 */
export function resolveConfig(config: ContainerConfig): ResolvedConfig {
  const command = [...(config.entrypoint ?? []), ...(config.command ?? ["/bin/sh"])];
  if (command.length === 0) throw malformed("command", undefined, "a program and its arguments");
  const stopSignal = signalNumber(config.stopSignal ?? "SIGTERM");
  if (stopSignal === undefined) throw malformed("stopSignal", config.stopSignal, "the name of a signal");
  const user = config.user ?? { uid: 0, gid: 0 };
  return {
    rootfs: text("rootfs", config.rootfs),
    command: command.map((word) => text("command", word, true)),
    stopSignal,
    init: config.init ?? false,
    env: variables(config.env ?? {}),
    cwd: absolute("cwd", config.cwd ?? "/"),
    user:
      typeof user === "string" ? text("user", user) : { uid: whole("user", user.uid), gid: whole("user", user.gid) },
    hostname: text("hostname", config.hostname ?? "container"),
    terminal: config.terminal ?? true,
    own: streamsOf(config),
    lowers: (config.lowers ?? []).map((path) => text("lowers", path)),
    writes: writesOf(config),
    volumes: (config.volumes ?? []).map(({ source, target, readonly, fill }) => ({
      source: text("volumes", source),
      target: absolute("volumes", target),
      readonly: readonly ?? false,
      fill: fill ?? false,
    })),
    network: networkOf(config),
    memoryBytes: config.memory === undefined ? undefined : parseBytes(config.memory, "memory"),
    cpus: config.cpus === undefined ? undefined : positive("cpus", config.cpus),
    pidsLimit: config.pidsLimit === undefined ? undefined : whole("pidsLimit", config.pidsLimit),
    setupMs: config.setupTimeout === undefined ? SETUP_LIMIT_MS : parseDuration(config.setupTimeout, "setupTimeout"),
    signal: config.signal,
  };
}

function streamsOf(config: ContainerConfig): Descriptors {
  const own = descriptorsOf(config);
  const names = Object.keys(own);
  if (names.length === 0 || config.terminal === false) return own;
  const options = ["terminal", ...names].join(", ");
  throw new MachineError(
    "OPTIONS_CONFLICT",
    `A terminal is all three streams: say terminal: false beside ${names.join(", ")}.`,
    {
      options,
    },
  );
}

function writesOf({ writes = "memory", lowers = [] }: ContainerConfig): Writes {
  if (typeof writes === "object") return { layer: text("writes", writes.layer) };
  const one = oneOf("writes", writes, ["memory", "directory", "none"]);
  if (one !== "directory" || lowers.length === 0) return one;
  throw malformed("writes", one, `"memory", "none" or a layer for a root of several directories`);
}

function networkOf({ network = "none", ports = [], dns = [] }: ContainerConfig): ResolvedNetwork {
  const { kind, isolated = false } = typeof network === "string" ? { kind: network } : network;
  return {
    kind: oneOf("network", kind, ["none", "host", "bridge", "user"]),
    isolated,
    ports: ports.map(({ container, host = 0, address = "0.0.0.0", protocol = "tcp" }) => ({
      container: port(container, 1),
      host: port(host, 0),
      address: ipv4("ports", address),
      protocol: oneOf("ports", protocol, ["tcp", "udp"]),
    })),
    dns: dns.map((server) => ipv4("dns", server)),
  };
}

function port(value: unknown, least: number): number {
  const number = whole("ports", value);
  if (number >= least && number <= 65_535) return number;
  throw malformed("ports", String(value), "numbers up to 65535");
}

function ipv4(option: string, value: unknown): string {
  if (typeof value === "string" && isIPv4(value)) return value;
  throw malformed(option, value, "addresses of IPv4");
}

function variables(env: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => {
      if (name === "" || /[=\0]/.test(name)) {
        throw malformed("env", name, "variables whose names are not empty and hold no '='");
      }
      return [name, text("env", value, true)];
    }),
  );
}

function text(option: string, value: unknown, mayBeEmpty = false): string {
  if (typeof value === "string" && (mayBeEmpty || value !== "") && !value.includes("\0")) return value;
  throw malformed(option, value, "text without a zero byte");
}

/** An absolute path in the container. */
export function absolute(option: string, value: unknown): string {
  const path = text(option, value);
  if (path.startsWith("/")) return path;
  throw malformed(option, value, "an absolute path");
}

function positive(option: string, value: unknown): number {
  if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
  throw number(option, value, "a number above 0");
}

function whole(option: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw number(option, value, "a whole number");
}

function number(option: string, value: unknown, expected: string): MachineError<"OPTION_INVALID"> {
  const message = `The option ${option} must be ${expected}, not ${String(value)}.`;
  return new MachineError("OPTION_INVALID", message, { option, value: String(value), expected });
}

function oneOf<T extends string>(option: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw malformed(option, value, `one of ${allowed.join(", ")}`);
}

/** The configuration the runtime takes: the OCI runtime specification's, as far as it is used here. */

import { resolve } from "node:path";
import type { ResolvedConfig, User } from "./config.js";
import { isRoot, mappings } from "./ids.js";

export { isRoot };

/** A process of `config.json`. */
export interface OciProcess {
  readonly terminal: boolean;
  readonly cwd: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly user: { readonly uid: number; readonly gid: number; readonly username?: string };
  readonly capabilities: Readonly<Record<string, readonly string[]>>;
  readonly noNewPrivileges: boolean;
}

/** The part of a configuration that is looked at here. */
export interface OciSpec {
  readonly process: OciProcess;
  readonly [field: string]: unknown;
}

/** What root in the container may do there: what installing and running services takes. */
const CAPABILITIES = [
  "CAP_AUDIT_WRITE",
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_MKNOD",
  "CAP_NET_BIND_SERVICE",
  "CAP_SETFCAP",
  "CAP_SETGID",
  "CAP_SETPCAP",
  "CAP_SETUID",
  "CAP_SYS_CHROOT",
];

/** Where programs are looked for, unless an environment says otherwise. */
export const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** How a process is started. */
interface ProcessOptions {
  readonly terminal: boolean;
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** The variables of a process. A user by name has the home that the image's own /etc/passwd says. */
export function processEnvironment(config: ResolvedConfig, options: ProcessOptions): Record<string, string> {
  const home = typeof config.user === "string" ? {} : { HOME: "/root" };
  return { PATH, ...home, ...(options.terminal ? { TERM: "xterm" } : {}), ...config.env, ...options.env };
}

/** A process of the container: its first, or one of `run()`. */
export function processOf(config: ResolvedConfig, args: readonly string[], options: ProcessOptions): OciProcess {
  const env = processEnvironment(config, options);
  return {
    terminal: options.terminal,
    cwd: options.cwd ?? config.cwd,
    args,
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    user: userOf(config.user),
    capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
    noNewPrivileges: true,
  };
}

/** A user as a process has one; a name is looked up in the container. */
export function userOf(user: User): OciProcess["user"] {
  return typeof user === "string" ? { uid: 0, gid: 0, username: user } : user;
}

/** The whole configuration. */
export function specOf(config: ResolvedConfig): OciSpec {
  const kinds = ["user", "pid", "mount", "ipc", "uts", "cgroup", "time"];
  if (config.network.kind !== "host") kinds.push("network");
  const { uids, gids } = mappings();
  return {
    ociVersion: "1.2.0",
    process: processOf(config, config.command, { terminal: config.terminal }),
    root: { path: resolve(config.rootfs), readonly: config.writes === "none" },
    hostname: config.hostname,
    mounts: mountsOf(config),
    linux: {
      namespaces: kinds.map((type) => ({ type })),
      uidMappings: uids,
      gidMappings: gids,
      resources: resourcesOf(config),
    },
  };
}

/** What makes files of the host's root files of the container's, where the two are not the same anyway. */
function sameOwners(): { readonly options: readonly string[]; readonly [mapping: string]: unknown } {
  const { uids, gids } = mappings();
  return isRoot() ? { options: ["ridmap"], uidMappings: uids, gidMappings: gids } : { options: [] };
}

function mountsOf({ network, volumes }: ResolvedConfig): unknown[] {
  const mount = (destination: string, type: string, ...options: string[]): unknown => ({
    destination,
    type,
    source: type,
    options,
  });
  // Group 5 is tty's, where it is mapped.
  const group = mappings().gids.some(({ containerID, size }) => containerID <= 5 && size > 5) ? ["gid=5"] : [];
  // A new view of /sys shows the network namespace, and only its owner may have one.
  const sys =
    network.kind !== "host"
      ? mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro")
      : { destination: "/sys", source: "/sys", options: ["rbind", "rro", "nosuid", "noexec", "nodev"] };
  return [
    mount("/proc", "proc", "nosuid", "noexec", "nodev"),
    mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
    mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", ...group),
    mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
    mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
    sys,
    ...volumes.map(({ source, target, readonly, fill }) => {
      const { options, ...mappings } = sameOwners();
      const access = readonly === true ? ["rro"] : [];
      return {
        destination: target,
        source: resolve(source),
        options: ["rbind", "nosuid", "nodev", ...access, ...options],
        ...mappings,
        fill: fill === true,
      };
    }),
  ];
}

function resourcesOf({ memoryBytes, cpus, pidsLimit }: ResolvedConfig): unknown {
  const period = 100_000;
  return {
    ...(memoryBytes === undefined ? {} : { memory: { limit: memoryBytes } }),
    ...(cpus === undefined ? {} : { cpu: { quota: Math.round(cpus * period), period } }),
    ...(pidsLimit === undefined ? {} : { pids: { limit: pidsLimit } }),
  };
}

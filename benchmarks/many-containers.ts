/** Many containers at once, and what their networks carry. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { boot, type ContainerConfig } from "@terrarium/container";
import { expectNothingLeft, traces } from "./left-behind.js";

/** How many there are at once. */
export const MANY = 1_000;

/** Bytes sent over a network, and how many at most are on their way to the helper at a time. */
const SENT_BYTES = 1 << 30;
const AT_A_TIME = 4;

/** What many cost, each. */
export interface Costs {
  readonly startMs: number;
  readonly memoryKib: number;
  readonly stopMs: number;
}

/**
 * Starts `count` containers that sleep, behind everything that isolates and with a layer of their own, and stops them.
 * @throws Error which names what they have left behind
 */
export async function manyAtOnce(config: ContainerConfig, count: number): Promise<Costs> {
  // The helper, and what it keeps, come with the first one.
  await (
    await boot(config)
  ).exited;
  const there = traces();
  const before = availableKib();
  const begun = performance.now();
  const sleeping = { ...config, writes: "memory", command: ["/bin/sleep", "infinity"] } as const;
  const guests: Awaited<ReturnType<typeof boot>>[] = [];
  let left = count;
  const one = async (): Promise<void> => {
    while (left-- > 0) guests.push(await boot(sleeping));
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, one));
  const started = performance.now();
  const memoryKib = (before - availableKib()) / count;
  await Promise.all(guests.map((guest) => guest.stop()));
  const stopped = performance.now();
  await expectNothingLeft(there);
  return { startMs: (started - begun) / count, memoryKib, stopMs: (stopped - started) / count };
}

function availableKib(): number {
  return Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1]);
}

/** Gbit/s that a program in a container sends to one outside; without a network, the host to itself. */
export async function throughput(config: ContainerConfig, network?: "bridge" | "user"): Promise<number> {
  const server = createServer((socket) => socket.resume().on("end", () => socket.end())).listen(0, "0.0.0.0");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const script = `exec 3<>/dev/tcp/${hostAddress()}/${port}; head -c ${SENT_BYTES} /dev/zero >&3`;
  const words = ["bash", "-c", script];
  try {
    if (network === undefined) {
      return await timed(async () => {
        await once(spawn("bash", words.slice(1)), "exit");
      });
    }
    await using guest = await boot({ ...config, network, command: ["/bin/sleep", "infinity"] });
    return await timed(async () => await guest.run(words));
  } finally {
    server.close();
  }
}

async function timed(send: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await send();
  return (SENT_BYTES * 8) / 1e6 / (performance.now() - begun);
}

/** An address of this host that containers reach. */
function hostAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const found = all.find((one) => one.family === "IPv4" && !one.internal);
  if (found === undefined) throw new Error("this host has no address that a container could reach");
  return found.address;
}

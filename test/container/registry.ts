/** Debian's registry, started for a test with what the test wants of it. */

import { spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { makeDirectory } from "./images.js";

/** Why there is no registry here. */
export const registryMissing: string | undefined =
  spawnSync("docker-registry", ["--version"]).error === undefined ? undefined : "docker-registry is not installed";
if (registryMissing !== undefined) process.stderr.write(`Registries are not tried: ${registryMissing}\n`);

/** A server that ends with the test. */
export interface Running extends AsyncDisposable {
  /** Host and port. */
  readonly host: string;
}

/** A port nobody listens at, for the moment. */
async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a registry; `auth` is its configuration's part of that name, as YAML. */
export async function startRegistry(auth = ""): Promise<Running> {
  const [directory, port] = [makeDirectory(), await freePort()];
  const config = join(directory, "config.yml");
  const storage = `storage:\n  filesystem:\n    rootdirectory: ${join(directory, "data")}\n`;
  writeFileSync(
    config,
    `version: 0.1\nlog:\n  level: error\n${storage}http:\n  addr: 127.0.0.1:${String(port)}\n${auth}`,
  );
  const child = spawn("docker-registry", ["serve", config], { stdio: "ignore" });
  const host = `127.0.0.1:${String(port)}`;
  for (let tries = 0; ; tries += 1) {
    const answer = await fetch(`http://${host}/v2/`).catch(() => undefined);
    if (answer !== undefined) break;
    if (tries === 100) throw new Error("the registry does not start");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const ended = new Promise((resolve) => child.once("exit", resolve));
  return {
    host,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** How a proxy in front of a registry spoils an answer: by cutting its body off, or by another status. */
export type Spoil = (path: string, range: string | undefined) => { cutAfter?: number; status?: number } | undefined;

/** Starts a server that passes requests on to `host`, but for what `spoil` says. */
export async function startUnreliable(host: string, spoil: Spoil): Promise<Running> {
  const server: Server = createServer((request, response) => {
    void (async () => {
      const spoiled = spoil(request.url ?? "", request.headers.range);
      if (spoiled?.status !== undefined) {
        response.writeHead(spoiled.status).end();
        return;
      }
      const headers = Object.fromEntries(
        ["accept", "range"].flatMap((name) => {
          const value = request.headers[name];
          return typeof value === "string" ? [[name, value]] : [];
        }),
      );
      const answer = await fetch(`http://${host}${request.url ?? ""}`, { headers, method: request.method ?? "GET" });
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      const body = Buffer.from(await answer.arrayBuffer());
      if (spoiled?.cutAfter === undefined) {
        response.end(body);
      } else {
        response.write(body.subarray(0, spoiled.cutAfter), () => response.socket?.end());
      }
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${String(port)}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

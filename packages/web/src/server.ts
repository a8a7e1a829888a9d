/** A static server for the page and the guest images, for this machine alone. */

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { SITE } from "./build.js";

/** Images name their files relative to themselves, which from the page is this path. */
const IMAGES_PATH = "/.cache/images/";
const IMAGES = fileURLToPath(new URL("../../../.cache/images/", import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
  ".map": "application/json",
};

/** Serves on `port` of the loopback interface, 0 for any that is free; resolves with the page's address. */
export async function serve(port: number): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((request, response) => {
    void answer(request.url ?? "/", response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${bound}/`, server };
}

async function answer(url: string, response: ServerResponse): Promise<void> {
  const file = fileFor(url);
  const size = file === undefined ? undefined : await sizeOf(file);
  if (file === undefined || size === undefined) {
    response.writeHead(404).end("There is no such file.\n");
    return;
  }
  const type = TYPES[extname(file)] ?? "application/octet-stream";
  response.writeHead(200, { "content-type": type, "content-length": size, "cache-control": "no-cache" });
  createReadStream(file).pipe(response);
}

/** The file behind a request, or nothing where the path leads out of what is served. */
function fileFor(url: string): string | undefined {
  const path = URL.parse(url, "http://localhost")?.pathname ?? "/";
  const [root, rest] = path.startsWith(IMAGES_PATH) ? [IMAGES, path.slice(IMAGES_PATH.length)] : [SITE, path];
  const name = rest === "/" ? "index.html" : decode(rest);
  if (name === undefined || name.includes("\0")) return undefined;
  const file = normalize(join(root, name));
  return file.startsWith(root.endsWith(sep) ? root : root + sep) ? file : undefined;
}

function decode(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

async function sizeOf(file: string): Promise<number | undefined> {
  const found = await stat(file).catch(() => undefined);
  return found?.isFile() === true ? found.size : undefined;
}

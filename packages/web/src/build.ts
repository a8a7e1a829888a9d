/** Bundles the page and its worker, and lays the files beside them that they load by name. */

import { copyFile, mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Where the built page lies. */
export const SITE = fileURLToPath(new URL("../dist/site/", import.meta.url));

/** Builds the page into {@link SITE}. */
export async function buildSite(): Promise<void> {
  await mkdir(SITE, { recursive: true });
  await build({
    entryPoints: {
      page: fileURLToPath(new URL("./page.js", import.meta.url)),
      // The machine package starts its worker by this name, beside its own script.
      "browser-worker": fileURLToPath(import.meta.resolve("@terrarium/machine/browser-worker")),
      // And the core one of its own beside that.
      "aside-browser-worker": fileURLToPath(import.meta.resolve("@terrarium/core/aside-browser-worker")),
    },
    outdir: SITE,
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    sourcemap: true,
    logLevel: "warning",
  });
  const files = {
    "index.html": new URL("../public/index.html", import.meta.url),
    "xterm.css": import.meta.resolve("@xterm/xterm/css/xterm.css"),
    "terrarium_bg.wasm": import.meta.resolve("@terrarium/core/terrarium_bg.wasm"),
  };
  for (const [name, source] of Object.entries(files)) await copyFile(fileURLToPath(source), `${SITE}${name}`);
}

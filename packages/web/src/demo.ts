/** `npm run demo`: builds the page, serves it, and says where. The variable PORT chooses another port. */

import { buildSite } from "./build.js";
import { serve } from "./server.js";

const DEFAULT_PORT = 8080;
/** Exit status of a mistake in the call, as of every Terrarium program. */
const STATUS_ERROR = 2;

try {
  await buildSite();
  const { url } = await serve(Number(process.env["PORT"] ?? DEFAULT_PORT));
  process.stderr.write(`The page is at ${url}, Ctrl-C ends it.\n`);
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error);
  process.stderr.write(`The page cannot be served: ${reason}. Set PORT to use another port.\n`);
  process.exitCode = STATUS_ERROR;
}

/** `npm run demo`: builds the page, serves it, and says where. */

import { buildSite } from "./build.js";
import { serve } from "./server.js";

const DEFAULT_PORT = 8080;

await buildSite();
const { url } = await serve(Number(process.env["PORT"] ?? DEFAULT_PORT));
process.stderr.write(`The page is at ${url}, Ctrl-C ends it.\n`);

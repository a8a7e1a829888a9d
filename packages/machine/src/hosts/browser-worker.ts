/** What a browser's worker runs: one machine server. */

import { loadCore } from "@terrarium/core";
import { expose } from "comlink";
import { CoreServer } from "../server/server.js";
import { carryErrors } from "../server/transfer.js";
import { readFile } from "./browser.js";

carryErrors();
expose(new CoreServer({ loadCore, readFile }));

/** What a browser's worker runs: one machine server. */

import { loadCore } from "@terrarium/core";
import { expose } from "comlink";
import { CoreServer } from "../server/server.js";
import { prepareTransfer } from "../server/transfer.js";
import { newTurn, readFile } from "./browser.js";

prepareTransfer();
expose(new CoreServer({ loadCore, readFile, newTurn }));

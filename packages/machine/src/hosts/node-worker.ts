/** What a Node worker thread runs: one machine server. */

import { workerData } from "node:worker_threads";
import { loadCore } from "@terrarium/core";
import { expose, type Endpoint } from "comlink";
import { CoreServer } from "../server/server.js";
import { carryErrors } from "../server/transfer.js";
import { readFile } from "./node.js";

carryErrors();
expose(new CoreServer({ loadCore, readFile }), workerData as Endpoint);

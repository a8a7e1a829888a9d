/** What a Node worker thread runs: one machine server. */

import { workerData, type MessagePort } from "node:worker_threads";
import { loadCore } from "@terrarium/core";
import { expose } from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { CoreServer } from "../server/server.js";
import { prepareTransfer } from "../server/transfer.js";
import { newTurn, readFile } from "./node.js";

prepareTransfer();
expose(new CoreServer({ loadCore, readFile, newTurn }), nodeEndpoint(workerData as MessagePort));

import { describe } from "vitest";
import { copyContract } from "../contract/copy.js";
import { runContract } from "../contract/run.js";
import { standContract } from "../contract/stand.js";
import { forbidden, startContainer } from "./containers.js";

describe.skipIf(forbidden !== undefined)("a container", () => {
  runContract(startContainer);
  standContract(startContainer);
  copyContract(startContainer);
});

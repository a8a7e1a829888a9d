import { copyContract } from "../contract/copy.js";
import { runContract } from "../contract/run.js";
import { standContract } from "../contract/stand.js";
import { cloudGuest } from "./guests.js";

runContract(cloudGuest);
standContract(cloudGuest);
copyContract(cloudGuest);

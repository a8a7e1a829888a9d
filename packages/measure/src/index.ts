/** One program to measure everywhere, and what is made of its figures. */

export { initrdOf, programEntry, withFiles } from "./guest-files.js";
export {
  aligned,
  conditions,
  figure,
  median,
  Series,
  shownSpread,
  spread,
  table,
  type Measurement,
} from "./measurement.js";
export { buildProgram, CACHE, cpuWorkloads, PROGRAM } from "./program.js";
export { requireAgreement, resultIn, type Result } from "./result.js";

/** The names both entries share. */

export type { CompiledExits, CpuModel, DebugOutput, HotRegion, RegionListing } from "@terrarium/core";
export type { CoreErrorCode, CoreErrorDetails } from "./codes.js";
export type { ContainerErrorDetails } from "./container-codes.js";
export {
  CPU_MODELS,
  ENGINES,
  type BootModule,
  type BootOptions,
  type Engine,
  type FileSource,
  type MachineConfig,
} from "./config.js";
export type { Console, WaitOptions } from "./console.js";
export { MachineError, TimeoutError, type ErrorCode, type ErrorDetails, type HostErrorDetails } from "./errors.js";
export type {
  ArchiveSource,
  Capabilities,
  CopyInOptions,
  Guest,
  GuestSnapshot,
  GuestStats,
  PackOptions,
  UnpackOptions,
  RunOptions,
  RunResult,
} from "./guest.js";
export type { Image } from "./image.js";
export type { OciErrorDetails } from "./image-codes.js";
export type { Machine, MachineStats } from "./machine.js";
export type { SerialPort } from "./serial.js";
export type { Exit } from "./server/protocol.js";
export type { Snapshot } from "./snapshot.js";
export type { Descriptor, StandardStreams } from "./streams.js";
export { parseBytes, parseDuration, type Bytes, type Duration } from "./units.js";

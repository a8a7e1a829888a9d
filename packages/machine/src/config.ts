/** What a caller may ask for, checked and brought into the form the core takes. */

import type { CoreConfig, CpuModel, EntryProtocol } from "@terrarium/core";
import { MachineError } from "./errors.js";
import type { Startup } from "./server/startup.js";
import { malformed, parseBytes, type Bytes } from "./units.js";

/** Where a file is: a URL, a path (in Node), or its bytes. */
export type FileSource = string | URL | Uint8Array;

/**
 * How the guest's instructions are executed. `auto` takes the fastest engine there is, which is `jit`. Where the host's
 * WebAssembly lacks what compiled code needs (tail calls), that interprets, too: `stats().engine` tells.
 */
export type Engine = "auto" | "jit" | "interpreter";

/** Engines by name. */
export const ENGINES: readonly Engine[] = ["auto", "jit", "interpreter"];

/** Options that apply to whatever is booted. */
export interface BootOptions {
  /** Guest RAM; 512 MiB where nobody says. */
  readonly memory?: Bytes;
  /** Model of the guest's processor, which decides what instructions there are; `x86-64-v2` where nobody says. */
  readonly cpu?: CpuModel;
  /** Execution engine; `auto` where nobody says. */
  readonly engine?: Engine;
  /** Kernel command line, instead of the image's own. */
  readonly commandLine?: string;
  /** More words for the kernel command line, after those it has. */
  readonly append?: string;
  /** How the kernel is entered; `auto` takes the best its file offers. */
  readonly entry?: EntryProtocol;
  /** Unpack a compressed kernel before the guest starts, which saves the guest the work. */
  readonly decompressOnHost?: boolean;
  /** What to trace, such as `["exec", "pio"]`; the lines come from `onTrace`. */
  readonly trace?: readonly string[];
  /** Compile to code that counts what it does, for `profile()`; it is a little slower. */
  readonly profile?: boolean;
  /** What a guest reset does: start over (as a PC), or end the run. */
  readonly onReset?: "reboot" | "stop";
}

/** A module for a multiboot kernel. */
export interface BootModule {
  readonly file: FileSource;
  /** The string the kernel gets with it, by custom a path and then words for the module; empty where absent. */
  readonly commandLine?: string;
}

/** A machine described by its parts. An image is one with a name. Structured-cloneable, where its files are. */
export interface MachineConfig extends BootOptions {
  /** Kernel: Linux, PVH or multiboot. */
  readonly kernel?: FileSource;
  /** Initial RAM disk; for a multiboot kernel, its first module. */
  readonly initrd?: FileSource;
  /** Modules, in order; only multiboot kernels take any. */
  readonly modules?: readonly BootModule[];
  /** Flat firmware ROM, instead of a kernel. */
  readonly firmware?: FileSource;
  /** Whether the Terrarium agent listens on the second serial port. */
  readonly agent?: boolean;
  /** Whether the guest's init writes its program's end to the `isa-debug-exit` port, in wait(2)'s form, for `exited` to tell. */
  readonly reportsEnd?: boolean;
  /** Whether its program reads from a pipe, which its agent feeds with what is written to the console. */
  readonly takesInput?: boolean;
  /** Name of the image, for messages. */
  readonly name?: string;
}

/** A config in which everything is decided; the form that crosses to the worker. */
export interface ResolvedConfig {
  readonly engine: Engine;
  readonly profile: boolean;
  readonly core: CoreConfig;
  readonly startup: Startup;
}

const ENTRIES: readonly EntryProtocol[] = ["auto", "16-bit", "32-bit", "64-bit", "pvh"];

/** Models of processor, oldest first. */
export const CPU_MODELS: readonly CpuModel[] = ["486", "pentium", "pentium3", "core2", "x86-64-v2", "x86-64-v3"];

/**
 * Checks `config` and fills in the defaults.
 * @throws MachineError `OPTION_INVALID`, `OPTIONS_CONFLICT`
 */
export function resolveConfig(config: MachineConfig): ResolvedConfig {
  checkBootFiles(config);
  const words = [config.commandLine, config.append].map((line, index) =>
    line === undefined ? "" : text(index === 0 ? "commandLine" : "append", line),
  );
  const onReset = oneOf("onReset", config.onReset ?? "reboot", ["reboot", "stop"]);
  return {
    engine: resolveEngine(config),
    profile: config.profile ?? false,
    core: {
      memoryBytes: parseBytes(config.memory ?? "512MiB", "memory"),
      cpu: oneOf("cpu", config.cpu ?? "x86-64-v2", CPU_MODELS),
      decompressOnHost: config.decompressOnHost ?? false,
      trace: list("trace", config.trace ?? []).join(","),
      noReboot: onReset === "stop",
      unixSeconds: Math.floor(Date.now() / 1000),
      randomSeed: Math.floor(Math.random() * Number.MAX_SAFE_INTEGER),
    },
    startup: {
      ...(config.kernel === undefined ? {} : { kernel: fileSource("kernel", config.kernel) }),
      ...(config.initrd === undefined ? {} : { initrd: fileSource("initrd", config.initrd) }),
      ...(config.firmware === undefined ? {} : { firmware: fileSource("firmware", config.firmware) }),
      modules: (config.modules ?? []).map(({ file, commandLine }) => ({
        file: fileSource("module", file),
        commandLine: text("commandLine", commandLine ?? ""),
      })),
      commandLine: words.filter((line) => line !== "").join(" "),
      entry: oneOf("entry", config.entry ?? "auto", ENTRIES),
      onReset,
    },
  };
}

/**
 * The engine that `options` name.
 * @throws MachineError `OPTION_INVALID`
 */
export function resolveEngine(options: BootOptions): Engine {
  return oneOf("engine", options.engine ?? "auto", ENGINES);
}

function checkBootFiles({ kernel, initrd, modules, firmware }: MachineConfig): void {
  if (kernel === undefined && firmware === undefined) {
    throw conflict("kernel, firmware", "There is nothing to boot: give a kernel or a firmware ROM.");
  }
  if (kernel !== undefined && firmware !== undefined) {
    throw conflict("kernel, firmware", "A machine starts either a kernel or a firmware ROM: leave one of them out.");
  }
  if (initrd !== undefined && kernel === undefined) {
    throw conflict("initrd, firmware", "An initrd belongs to a kernel: leave it out when a firmware ROM is started.");
  }
  if (modules !== undefined && kernel === undefined) {
    throw conflict("modules, firmware", "Modules belong to a kernel: leave them out when a firmware ROM is started.");
  }
}

function conflict(options: string, message: string): MachineError<"OPTIONS_CONFLICT"> {
  return new MachineError("OPTIONS_CONFLICT", message, { options });
}

function oneOf<T extends string>(option: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw malformed(option, value, `one of ${allowed.join(", ")}`);
}

/** Strings reach the guest's memory as C strings, so a zero byte would cut them short unseen. */
function text(option: string, value: unknown): string {
  if (typeof value === "string" && !value.includes("\0")) return value;
  throw malformed(option, value, "text without a zero byte");
}

function list(option: string, value: unknown): string[] {
  if (Array.isArray(value)) return value.map((item) => text(option, item));
  throw malformed(option, value, "a list of texts");
}

function fileSource(option: string, value: unknown): string | Uint8Array {
  if (value instanceof URL) return value.href;
  if (value instanceof Uint8Array || (typeof value === "string" && value !== "")) return value;
  throw malformed(option, value, "a path, a URL or a Uint8Array");
}

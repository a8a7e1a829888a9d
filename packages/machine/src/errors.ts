/** The errors a caller sees, and how they cross from a worker to it. */

import type { CoreErrorCode, CoreErrorDetails } from "./codes.js";
import type { ContainerErrorDetails } from "./container-codes.js";
import type { OciErrorDetails } from "./image-codes.js";

/** Errors raised on this side of the language boundary. */
export interface HostErrorDetails {
  /** Options that cannot be given together, or one that is missing. */
  readonly OPTIONS_CONFLICT: { readonly options: string };
  /** A kernel, initrd, ROM or image file cannot be read. */
  readonly FILE_UNREADABLE: { readonly source: string; readonly reason: string };
  /** No image has that name. */
  readonly IMAGE_UNKNOWN: { readonly image: string; readonly known: string };
  /** The guest has ended; nothing can be asked of it any more. */
  readonly GUEST_STOPPED: { readonly reason: string; readonly transcript?: string };
  /** The guest did not do in time what was waited for. */
  readonly TIMEOUT: { readonly milliseconds: number; readonly waitingFor: string; readonly transcript: string };
  /** The guest has no agent, so commands cannot be run in it. */
  readonly AGENT_MISSING: { readonly image: string };
  /** The agent in the guest answered what its protocol does not allow. */
  readonly AGENT_PROTOCOL: { readonly reason: string };
  /** The guest's kernel refused to start a program. */
  readonly COMMAND_NOT_STARTED: { readonly program: string; readonly reason: string };
  /** A command wrote more than its caller wanted to keep. */
  readonly OUTPUT_TOO_LARGE: { readonly limit: number };
  /** The caller's `AbortSignal` fired. */
  readonly ABORTED: { readonly reason: string };
  /** The container runtime cannot be started here, or has ended. */
  readonly RUNTIME_UNAVAILABLE: { readonly reason: string };
  /** The addon, which does what Node cannot, cannot be loaded here. */
  readonly ADDON_UNAVAILABLE: { readonly reason: string; readonly mend: string };
  /** The emulator core cannot be loaded here. */
  readonly CORE_UNAVAILABLE: { readonly reason: string };
  /** A mistake of Terrarium itself; that one machine is lost. */
  readonly INTERNAL: { readonly reason: string };
}

/** Fields of `details`, by code. */
export type ErrorDetails = CoreErrorDetails & ContainerErrorDetails & OciErrorDetails & HostErrorDetails;

/** Stable name of a kind of failure. */
export type ErrorCode = CoreErrorCode | keyof ContainerErrorDetails | keyof OciErrorDetails | keyof HostErrorDetails;

/** A failure of the host or of the caller. Guest faults stay in the guest. */
export class MachineError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name: string = "MachineError";
  /** Stable: programs may branch on it. */
  readonly code: C;
  /** Facts about this occurrence; their fields depend on the code. */
  readonly details: ErrorDetails[C];

  constructor(code: C, message: string, details: ErrorDetails[NoInfer<C>], options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}

/** Waiting took longer than the caller allowed. The transcript is what the guest showed meanwhile. */
export class TimeoutError extends MachineError<"TIMEOUT"> {
  override readonly name = "TimeoutError";

  constructor(waitingFor: string, milliseconds: number, transcript: string) {
    const tail = transcript === "" ? "The guest sent nothing." : `Last it sent: ${lastLines(transcript)}`;
    super("TIMEOUT", `Waited ${milliseconds} ms for ${waitingFor} in vain. ${tail}`, {
      milliseconds,
      waitingFor,
      transcript,
    });
  }

  /** What the guest sent since the wait began. */
  get transcript(): string {
    return this.details.transcript;
  }
}

/** The last few lines, enough for a message; the whole is in `details`. */
function lastLines(transcript: string): string {
  return JSON.stringify(transcript.trimEnd().split("\n").slice(-3).join("\n").slice(-300));
}

/** `instanceof` alone would make the code an \`any\`. */
function isMachineError(value: unknown): value is MachineError {
  return value instanceof MachineError;
}

/** A {@link MachineError} as data: what a message port can carry without loss. */
export interface ErrorWire {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails[ErrorCode];
  readonly stack?: string;
  readonly cause?: ErrorWire | { readonly message: string };
}

/** `error` as data. Errors that are not ours count as mistakes of ours. */
export function toWire(error: unknown): ErrorWire {
  if (isMachineError(error)) {
    const { code, message, details, stack, cause } = error;
    return {
      code,
      message,
      details,
      ...(stack === undefined ? {} : { stack }),
      ...(cause === undefined ? {} : { cause: causeToWire(cause) }),
    };
  }
  return toWire(internalError(error));
}

function causeToWire(cause: unknown): NonNullable<ErrorWire["cause"]> {
  return isMachineError(cause) ? toWire(cause) : { message: messageOf(cause) };
}

/** The error that {@link toWire} took apart. */
export function fromWire(wire: ErrorWire): MachineError {
  const error = rebuild(wire);
  if (wire.stack !== undefined) error.stack = wire.stack;
  return error;
}

function rebuild(wire: ErrorWire): MachineError {
  if (isTimeout(wire)) {
    const { waitingFor, milliseconds, transcript } = wire.details;
    return new TimeoutError(waitingFor, milliseconds, transcript);
  }
  const { cause } = wire;
  if (cause === undefined) return new MachineError(wire.code, wire.message, wire.details);
  const rebuiltCause = "code" in cause ? fromWire(cause) : new Error(cause.message);
  return new MachineError(wire.code, wire.message, wire.details, { cause: rebuiltCause });
}

function isTimeout(wire: ErrorWire): wire is ErrorWire & { readonly details: HostErrorDetails["TIMEOUT"] } {
  return wire.code === "TIMEOUT";
}

/** What a core call threw, as an error. The core throws data; anything else it throws is a mistake of ours. */
export function fromCore(thrown: unknown): MachineError {
  if (isMachineError(thrown)) return thrown;
  if (isCoreError(thrown)) return new MachineError(thrown.code, thrown.message, thrown.details);
  return internalError(thrown);
}

function isCoreError(thrown: unknown): thrown is ErrorWire {
  return (
    typeof thrown === "object" &&
    thrown !== null &&
    !(thrown instanceof Error) &&
    "code" in thrown &&
    "details" in thrown
  );
}

/** Wraps something that should not have been thrown. */
export function internalError(thrown: unknown): MachineError<"INTERNAL"> {
  const reason = messageOf(thrown).replace(/\s*\n\s*/g, " ");
  return new MachineError(
    "INTERNAL",
    `Terrarium failed and this machine is lost: ${reason}`,
    { reason },
    {
      cause: thrown,
    },
  );
}

/** The error for a feature that there is not; `feature` begins in lower case. */
export function unsupported(feature: string, mend: string): MachineError<"UNSUPPORTED"> {
  const message = `${feature.charAt(0).toUpperCase()}${feature.slice(1)} is not supported: ${mend}.`;
  return new MachineError("UNSUPPORTED", message, { feature, mend });
}

/** The message of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

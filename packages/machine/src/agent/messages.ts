/** Messages of the agent's protocol and their bytes. emulator-core/crates/agent/PROTOCOL.md is the description. */

/** Version of the protocol spoken here. */
export const PROTOCOL_VERSION = 1;

/** What a process is started with. */
export interface Start {
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** Directory to run in; the agent's own where absent. */
  readonly cwd?: string | undefined;
  /** Variables on top of the agent's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** What the host says. */
export type ToAgent =
  | { readonly type: "hello"; readonly session: number }
  | { readonly type: "start"; readonly process: number; readonly start: Start }
  | { readonly type: "stdin"; readonly process: number; readonly data: Uint8Array }
  | { readonly type: "stdinEnd"; readonly process: number }
  | { readonly type: "signal"; readonly process: number; readonly signal: number }
  | { readonly type: "credit"; readonly process: number; readonly bytes: number };

/** What the agent says. */
export type FromAgent =
  | { readonly type: "hello"; readonly version: number; readonly session: number }
  | { readonly type: "started"; readonly process: number }
  | { readonly type: "stdout" | "stderr"; readonly process: number; readonly data: Uint8Array }
  | { readonly type: "exited"; readonly process: number; readonly exitCode: number }
  | { readonly type: "killed"; readonly process: number; readonly signal: number }
  | { readonly type: "failed"; readonly process: number; readonly errno: number }
  | { readonly type: "credit"; readonly process: number; readonly bytes: number };

const TO_AGENT = { hello: 0x01, start: 0x02, stdin: 0x03, stdinEnd: 0x04, signal: 0x05, credit: 0x06 } as const;

const encoder = new TextEncoder();

/** The bytes of `message`. */
export function encodeMessage(message: ToAgent): Uint8Array {
  const type = [TO_AGENT[message.type]];
  if (message.type === "hello") return bytes(type, u16(PROTOCOL_VERSION), u32(message.session));
  const head = [...type, ...u32(message.process)];
  switch (message.type) {
    case "start":
      return bytes(head, u16(message.start.command.length), encodeStart(message.start));
    case "stdin":
      return bytes(head, message.data);
    case "stdinEnd":
      return bytes(head);
    case "signal":
      return bytes(head, [message.signal]);
    case "credit":
      return bytes(head, u32(message.bytes));
  }
}

/** The message in `frame`; undefined where it is cut short or of an unknown type. */
export function decodeMessage(frame: Uint8Array): FromAgent | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < 5) return undefined;
  const rest = frame.length - 5;
  const type = frame[0];
  if (type === 0x81) {
    return rest < 2 ? undefined : { type: "hello", version: view.getUint16(1, true), session: view.getUint32(3, true) };
  }
  const process = view.getUint32(1, true);
  switch (type) {
    case 0x82:
      return { type: "started", process };
    case 0x83:
    case 0x84:
      return { type: type === 0x83 ? "stdout" : "stderr", process, data: frame.slice(5) };
    case 0x85:
      if (rest < 2) return undefined;
      return frame[5] === 0
        ? { type: "exited", process, exitCode: view.getUint8(6) }
        : { type: "killed", process, signal: view.getUint8(6) };
    case 0x86:
      return rest < 2 ? undefined : { type: "failed", process, errno: view.getUint16(5, true) };
    case 0x87:
      return rest < 4 ? undefined : { type: "credit", process, bytes: view.getUint32(5, true) };
    default:
      return undefined;
  }
}

function encodeStart({ command, cwd = "", env = {} }: Start): Uint8Array {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return encoder.encode([cwd, ...command, ...variables].map((text) => `${text}\0`).join(""));
}

function u16(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff];
}

function u32(value: number): number[] {
  return [...u16(value), ...u16(value >>> 16)];
}

function bytes(...parts: (Uint8Array | readonly number[])[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

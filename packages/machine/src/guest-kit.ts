/** What other kinds of guest are built with. Not for callers. */

export { CommandRunner, type ProcessStarter } from "./agent.js";
export type { GuestProcess, Output, ProcessEnd } from "./agent/client.js";
export { signalName, signalNumber, SIGKILL, SIGTERM } from "./agent/linux-names.js";
export type { Start } from "./agent/messages.js";
export { Copier, type Copy } from "./copy.js";
export { abortError, SerialConsole } from "./console.js";
export { internalError, messageOf, toWire, unsupported } from "./errors.js";
export { Emitter } from "./events.js";
export { joined, outputOf } from "./output.js";
export { damaged, isSnapshot } from "./snapshot.js";
export { splitStreams } from "./streams.js";
export { malformed } from "./units.js";

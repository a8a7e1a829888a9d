import { expose, wrap } from "comlink";
import { afterAll, expect, test } from "vitest";
import {
  fromWire,
  MachineError,
  TimeoutError,
  toWire,
  type HostErrorDetails,
} from "../../packages/machine/src/errors.js";
import { prepareTransfer } from "../../packages/machine/src/server/transfer.js";

/** One of each; the type makes sure that none is forgotten. */
const SAMPLES: HostErrorDetails = {
  OPTIONS_CONFLICT: { options: "kernel, firmware" },
  FILE_UNREADABLE: { source: "vmlinuz", reason: "ENOENT" },
  IMAGE_UNKNOWN: { image: "beos", known: "debian" },
  GUEST_STOPPED: { reason: "powered-off" },
  TIMEOUT: { milliseconds: 20, waitingFor: "login: ", transcript: "Kernel panic" },
  AGENT_MISSING: { image: "freestanding" },
  AGENT_PROTOCOL: { reason: "unknown frame" },
  COMMAND_NOT_STARTED: { program: "lsd", reason: "ENOENT" },
  OUTPUT_TOO_LARGE: { limit: 1 },
  ABORTED: { reason: "closing" },
  RUNTIME_UNAVAILABLE: { reason: "gone" },
  ADDON_UNAVAILABLE: { reason: "this is darwin", mend: "it is for Linux alone" },
  CORE_UNAVAILABLE: { reason: "404" },
  INTERNAL: { reason: "a case nobody thought of" },
};
const CODES = Object.keys(SAMPLES) as (keyof HostErrorDetails)[];

prepareTransfer();
const { port1, port2 } = new MessageChannel();
expose(
  {
    fail: (code: keyof HostErrorDetails) => {
      throw sample(code);
    },
    failOtherwise: () => {
      throw new RangeError("not one of ours");
    },
  },
  port2,
);
const remote = wrap<{ fail(code: keyof HostErrorDetails): void; failOtherwise(): void }>(port1);
afterAll(() => {
  port1.close();
});

test.each(CODES)("%s crosses to another thread with its message, details and cause", async (code) => {
  const original = sample(code);
  const error: unknown = await remote.fail(code).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(code === "TIMEOUT" ? TimeoutError : MachineError);
  expect(error).toMatchObject({ name: original.name, message: original.message, code, details: SAMPLES[code] });
  if (code !== "TIMEOUT") expect(error).toMatchObject({ cause: { code: "ABORTED", details: SAMPLES.ABORTED } });
});

test("an error that is not ours still crosses as Comlink has it", async () => {
  await expect(remote.failOtherwise()).rejects.toMatchObject({ name: "RangeError", message: "not one of ours" });
});

test("installing the handler twice does not wrap it twice", async () => {
  prepareTransfer();
  prepareTransfer();
  await expect(remote.fail("ABORTED")).rejects.toMatchObject({ code: "ABORTED" });
});

test("the form that crosses is plain data", () => {
  const wire = toWire(sample("INTERNAL"));
  expect(structuredClone(wire)).toEqual(wire);
  expect(fromWire(wire).stack).toBe(wire.stack);
});

function sample(code: keyof HostErrorDetails): MachineError {
  if (code === "TIMEOUT") {
    const { waitingFor, milliseconds, transcript } = SAMPLES.TIMEOUT;
    return new TimeoutError(waitingFor, milliseconds, transcript);
  }
  const cause = new MachineError("ABORTED", "The caller called it off.", SAMPLES.ABORTED);
  return new MachineError(code, `This is what ${code} says.`, SAMPLES[code], { cause });
}

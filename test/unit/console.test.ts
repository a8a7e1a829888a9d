import { MachineError, TimeoutError } from "../../packages/machine/src/exports.js";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SerialConsole } from "../../packages/machine/src/console.js";

const encoder = new TextEncoder();

function newConsole(): SerialConsole {
  return new SerialConsole(() => Promise.resolve());
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("waiting resolves with everything up to the match, even if it came in pieces", async () => {
  const console = newConsole();
  const login = console.waitFor("login: ");
  for (const piece of ["Welcome\r\nlo", "gin", ": and more"]) console.receive(encoder.encode(piece));
  expect(await login).toBe("Welcome\r\nlogin: ");
});

test("the next wait starts after the last match, so one prompt does not count twice", async () => {
  const console = newConsole();
  console.receive(encoder.encode("# "));
  await console.waitFor("# ");
  const second = console.waitFor("# ", { timeout: "1s" });
  console.receive(encoder.encode("ls\r\nbin  etc\r\n# "));
  expect(await second).toBe("ls\r\nbin  etc\r\n# ");
});

test("what came before the wait counts", async () => {
  const console = newConsole();
  console.receive(encoder.encode("~ # "));
  expect(await console.waitFor(/[#$] $/)).toBe("~ # ");
});

test("a global pattern starts at the beginning every time", async () => {
  const console = newConsole();
  const pattern = /ready/g;
  console.receive(encoder.encode("ready ready"));
  expect(await console.waitFor(pattern)).toBe("ready");
  expect(await console.waitFor(pattern)).toBe(" ready");
});

test("a character cut in two by the line arrives whole", async () => {
  const console = newConsole();
  const bytes = encoder.encode("größe");
  console.receive(bytes.subarray(0, 3));
  console.receive(bytes.subarray(3));
  expect(await console.waitFor("größe")).toBe("größe");
});

test("after the time is up the error carries what the guest sent", async () => {
  const console = newConsole();
  const wait = console.waitFor("login: ", { timeout: "20s" });
  const settled = expect(wait).rejects.toSatisfy(
    (error) =>
      error instanceof TimeoutError && error.transcript === "Kernel panic" && error.message.includes("20000 ms"),
  );
  console.receive(encoder.encode("Kernel panic"));
  await vi.advanceTimersByTimeAsync(20_000);
  await settled;
});

test("when the guest ends, a wait ends at once and says so", async () => {
  const console = newConsole();
  const wait = console.waitFor("login: ");
  console.receive(encoder.encode("reboot: Power down"));
  console.end("powered-off");
  await expect(wait).rejects.toMatchObject({
    code: "GUEST_STOPPED",
    details: { reason: "powered-off", transcript: "reboot: Power down" },
  });
  await expect(console.waitFor("anything")).rejects.toBeInstanceOf(MachineError);
});

test("the caller's signal ends a wait", async () => {
  const controller = new AbortController();
  const wait = newConsole().waitFor("login: ", { signal: controller.signal });
  controller.abort(new Error("closing"));
  await expect(wait).rejects.toMatchObject({ code: "ABORTED", details: { reason: "closing" } });
});

test("a guest that never stops talking is remembered for the last mebibyte only", async () => {
  const console = newConsole();
  const megabyte = encoder.encode("x".repeat(1 << 20));
  console.receive(encoder.encode("needle"));
  console.receive(megabyte);
  const wait = console.waitFor("needle", { timeout: "1s" });
  const settled = expect(wait).rejects.toBeInstanceOf(TimeoutError);
  await vi.advanceTimersByTimeAsync(1_000);
  await settled;
});

test("a guest that never stops talking costs time in proportion, and keeps what it said last", async () => {
  const console = newConsole();
  const piece = encoder.encode(`${"x".repeat(1_023)}\n`);
  const pieces = 64 << 10;
  // Where each copied a mebibyte this took more time than a test has.
  for (let index = 0; index < pieces; index++) console.receive(piece);
  console.receive(encoder.encode("login: "));
  expect(await console.waitFor("login: ")).toHaveLength(1 << 20);
});

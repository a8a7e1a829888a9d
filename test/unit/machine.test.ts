import { describe, expect, test } from "vitest";
import { ANYTHING, bootFake } from "./boot-fake.js";

describe("a machine", () => {
  test("shows what the guest sends and takes what is typed", async () => {
    await using machine = await bootFake()(ANYTHING);
    await machine.console.waitFor("login: ");
    await machine.console.write("hello\n");
    expect(await machine.console.waitFor("\n")).toBe("you said hello\n");
  });

  test("gets long input through a serial port that takes sixteen bytes at a time", async () => {
    await using machine = await bootFake({ fifoBytes: 16 })(ANYTHING);
    const line = "0123456789".repeat(20);
    await machine.console.write(`${line}\n`);
    expect(await machine.console.waitFor(/said (.*)\n/)).toContain(line);
  });

  test("leaves the bytes of the caller's array alone", async () => {
    await using machine = await bootFake()(ANYTHING);
    const bytes = new TextEncoder().encode("hi\n");
    await machine.console.write(bytes);
    await machine.console.waitFor("said hi");
    expect(bytes.length).toBe(3);
  });

  test("tells how it ended, once to everybody, and answers nothing afterwards", async () => {
    const machine = await bootFake()(ANYTHING);
    const seen: string[] = [];
    machine.onExit((exit) => seen.push(exit.reason));
    await machine.console.write("poweroff\n");
    expect(await machine.exited).toEqual({ reason: "powered-off" });
    expect(seen).toEqual(["powered-off"]);
    await expect(machine.console.write("x")).rejects.toMatchObject({ code: "GUEST_STOPPED" });
    await expect(machine.run("true")).rejects.toMatchObject({
      code: "GUEST_STOPPED",
      details: { reason: "powered-off" },
    });
    await expect(machine.snapshot()).rejects.toMatchObject({ code: "GUEST_STOPPED" });
    await machine.stop();
  });

  test.each([
    ["auto", true],
    ["jit", true],
    ["interpreter", false],
  ] as const)("has its code compiled, or not, by the engine %s, from a snapshot too", async (engine, compiles) => {
    let compiled = 0;
    const boot = bootFake({ onCompile: () => (compiled += 1) });
    await using machine = await boot(ANYTHING, { engine });
    await machine.console.waitFor("login: ");
    expect(compiled).toBe(compiles ? 1 : 0);
    await using again = await boot(await machine.snapshot(), { engine });
    await again.console.write("hello\n");
    await again.console.waitFor("you said hello");
    expect(compiled).toBe(compiles ? 2 : 0);
  });

  test("is stopped by stop() and by leaving its scope", async () => {
    const machine = await bootFake()(ANYTHING);
    {
      await using guest = machine;
      await guest.console.waitFor("login: ");
    }
    expect(await machine.exited).toEqual({ reason: "stopped" });
  });

  test("is lost alone when the core fails, and says why", async () => {
    const boot = bootFake();
    const machine = await boot(ANYTHING);
    await using other = await boot(ANYTHING);
    await machine.console.write("crash\n");
    expect(await machine.exited).toMatchObject({
      reason: "failed",
      error: { code: "INTERNAL", details: { reason: "the core met a case it does not know" } },
    });
    await expect(machine.stats()).rejects.toMatchObject({ code: "INTERNAL" });
    await other.console.waitFor("login: ");
  });

  test("starts again after a reset, or ends with it where it was told to", async () => {
    const boot = bootFake({ outcomes: [{ kind: "reset" }] });
    await using machine = await boot(ANYTHING);
    await machine.console.waitFor("login again: ");
    await using other = await boot(ANYTHING, { onReset: "stop" });
    expect(await other.exited).toEqual({ reason: "reset" });
  });

  test("without an agent refuses to run commands", async () => {
    await using machine = await bootFake()({ ...ANYTHING, name: "freestanding" });
    expect(machine.capabilities.run).toBe(false);
    await expect(machine.run("true")).rejects.toMatchObject({
      code: "AGENT_MISSING",
      details: { image: "freestanding" },
    });
  });

  test("has two serial ports and no third", async () => {
    await using machine = await bootFake()(ANYTHING);
    expect(machine.serial(0)).toBe(machine.console);
    expect(() => machine.serial(2)).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  });

  test("goes on from its snapshot after a trip through structured clone", async () => {
    await using machine = await bootFake()(ANYTHING);
    const snapshot = structuredClone(await machine.snapshot());
    await using twin = await bootFake()(snapshot);
    await twin.console.waitFor("back again: ");
  });
});

describe("pausing", () => {
  test("stops slices and guest time until resume", async () => {
    const times: number[] = [];
    const outcomes = Array.from({ length: 1_000_000 }, () => ({ kind: "running" as const }));
    await using machine = await bootFake({ outcomes, onRun: (now) => times.push(now) })(ANYTHING);
    await machine.console.waitFor("login: ");
    await machine.pause();
    const { instructions: before } = await machine.stats();
    const last = times.at(-1) ?? 0;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await machine.stats()).instructions).toBe(before);
    await machine.resume();
    await expect.poll(() => times.length).toBeGreaterThan(before);
    // Whatever the pause took, the guest's clock goes on from where it stood, give or take a slow machine.
    expect((times[before] ?? Infinity) - last).toBeLessThan(250e6);
  });
});

describe("an idle guest", () => {
  test("is not run before its deadline", async () => {
    const times: number[] = [];
    await using machine = await bootFake({
      outcomes: [{ kind: "idle", untilNs: 200e6 }],
      onRun: (now) => times.push(now),
    })(ANYTHING);
    await expect.poll(() => times.length).toBe(2);
    // Timers are no finer than a millisecond: with less than half of one to go the loop looks at once.
    expect(times[1]).toBeGreaterThanOrEqual(200e6 - 0.5e6);
    await machine.stop();
  });

  test("wakes for input long before its deadline", async () => {
    await using machine = await bootFake({ outcomes: [{ kind: "idle", untilNs: 3600e9 }] })(ANYTHING);
    await machine.console.waitFor("login: ");
    await machine.console.write("hello\n");
    await machine.console.waitFor("you said hello", { timeout: "1s" });
  });

  test("without a deadline costs no slices", async () => {
    await using machine = await bootFake()(ANYTHING);
    await machine.console.waitFor("login: ");
    const { instructions: before } = await machine.stats();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect((await machine.stats()).instructions).toBe(before);
  });
});

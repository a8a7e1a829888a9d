import { expect, test } from "vitest";
import { cloudGuest, debianCloud } from "./guests.js";

test("an idle guest uses next to no processor time", async () => {
  await using machine = await cloudGuest();
  // The kernel has things to finish after the prompt.
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const before = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 4e6).toBeLessThan(0.1);
  expect((await machine.run("echo awake")).stdout).toBe("awake\n");
});

test("while the guest is busy the caller's event loop stays free and the machine answers at once", async () => {
  await using machine = await cloudGuest();
  await machine.console.write("while :; do :; done\n");
  let longest = 0;
  for (let turn = 0; turn < 50; turn += 1) {
    const start = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 10));
    longest = Math.max(longest, performance.now() - start);
  }
  expect(longest).toBeLessThan(200);
  const asked = performance.now();
  await machine.stats();
  expect(performance.now() - asked).toBeLessThan(500);
  // Ctrl-C still reaches the shell.
  await machine.console.write("\x03");
  await machine.console.waitFor(debianCloud.prompt, { timeout: "10s" });
});

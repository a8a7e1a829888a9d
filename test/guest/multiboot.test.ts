import debianXen from "@terrarium/images/debian-xen";
import { expect, test } from "vitest";
import { bootToShell } from "./guests.js";

test("Debian's Xen, a multiboot kernel with two modules, boots a Linux that knows it", async () => {
  await using machine = await bootToShell(debianXen);
  await machine.console.write("cat /sys/hypervisor/type; cat /proc/cmdline; poweroff -f\n");
  // Each module came with a string of its own, and so did the hypervisor, or it would not be on the serial port.
  await machine.console.waitFor(/^xen\s+console=hvc0 panic=-1\s/m);
  expect(await machine.exited).toEqual({ reason: "powered-off" });
});

import { boot } from "@terrarium/machine/worker";
import { afterEach, expect, test, vi } from "vitest";

afterEach(() => {
  vi.restoreAllMocks();
});

/** `JMP $` at the reset vector. */
function endlessLoop(): Uint8Array {
  const rom = new Uint8Array(64 << 10);
  rom.set([0xeb, 0xfe], 0xfff0);
  return rom;
}

async function ranCompiled(): Promise<{ engine: string; modules: number }> {
  await using machine = await boot({ firmware: endlessLoop(), memory: "16MiB" });
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { engine, modules, instructions } = await machine.stats();
  expect(instructions).toBeGreaterThan(100_000);
  return { engine, modules };
}

test("a host without tail calls interprets, and says so", async () => {
  vi.spyOn(WebAssembly, "validate").mockReturnValue(false);
  expect(await ranCompiled()).toEqual({ engine: "interpreter", modules: 0 });
});

test("any other compiles", async () => {
  const { engine, modules } = await ranCompiled();
  expect(engine).toBe("jit");
  expect(modules).toBeGreaterThan(0);
});

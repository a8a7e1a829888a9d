import { readdirSync } from "node:fs";
const { images } = await import("@terrarium/images");
const { boot } = await import("@terrarium/machine");
const image = { ...images.find(({ name }) => name === "debian-cloud"), initrd: process.env.INITRD };
const vm = await boot(image, { engine: process.env.ENGINE ?? "jit" });
await vm.console.waitFor(image.prompt, { timeout: "120s" });
for (const c of process.argv.slice(2)) {
  const s0 = await vm.stats();
  const t = performance.now();
  const r = await vm.run(c, { timeout: "300s" });
  const s1 = await vm.stats();
  console.log(`$ ${c}\n${r.stdout.slice(0, 300)}${r.stderr.slice(0, 300)}[${r.exitCode}] ${((performance.now() - t) / 1000).toFixed(2)} s`);
  const d = {}; for (const k of Object.keys(s1)) d[k] = s1[k] - s0[k];
  const e = s1.compiledExits, e0 = s0.compiledExits; if (e) console.log("  exits", Object.keys(e).map((k) => `${k} ${e[k]-e0[k]}`).join(" "));
  console.log(`  instr ${(d.instructions/1e6).toFixed(1)}M interp ${((d.instructions-d.compiledInstructions)/1e6).toFixed(1)}M entries ${(d.compiledEntries/1e3).toFixed(0)}k tlb ${(d.tlbMisses/1e3).toFixed(0)}k dec ${d.blocksDecoded} inv ${d.blocksInvalidated} exc ${d.exceptions} irq ${d.interrupts} regions ${d.regions} (${s1.regions}) modules ${d.modules} bytes ${(d.moduleBytes/1e3).toFixed(0)}k compile ${(d.compileNs/1e6).toFixed(0)}ms`);
}
process.exit(0);

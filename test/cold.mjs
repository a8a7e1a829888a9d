import { readFileSync } from "node:fs"; import v8 from "node:v8";
const { boot } = await import("@terrarium/machine");
const s = v8.deserialize(readFileSync("/work/tools.snap"));
const vm = await boot(s, { engine: process.env.ENGINE ?? "jit" });
let s0 = await vm.stats();
for (const c of process.argv.slice(2)) {
  const t = performance.now();
  const r = await vm.run(c, { timeout: "90s" });
  const dt = performance.now() - t;
  const s1 = await vm.stats(); const d = {}; for (const k of Object.keys(s1)) d[k] = s1[k] - s0[k];
  console.log(`${c.slice(0,7).padEnd(8)} ${(dt / 1000).toFixed(3)} s [${r.exitCode}] instr ${(d.instructions/1e6).toFixed(1)}M interp ${(d.interpretedInstructions/1e6).toFixed(1)}M ent ${(d.compiledEntries/1e3).toFixed(0)}k acc ${((s1.compiledExits.access-s0.compiledExits.access)/1e3).toFixed(0)}k dec ${(d.blocksDecoded/1e3).toFixed(0)}k regions ${d.regions} evicted ${d.regionsEvicted} modules ${d.modules} bytes ${(d.moduleBytes/1e3).toFixed(0)}k compile ${(d.compileNs/1e6).toFixed(0)}ms longest ${(s1.longestCompileNs/1e6).toFixed(1)} aside ${((d.asideCompileNs??0)/1e6).toFixed(0)}ms core ${(s1.coreBytes/1e6).toFixed(0)}MB`);
  s0 = s1;
}
if (process.env.RSS) console.log("rss", (process.memoryUsage().rss / 1e6).toFixed(0));
process.exit(0);

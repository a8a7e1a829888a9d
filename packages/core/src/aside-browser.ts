/** A translator aside in a browser: a worker of the machine's worker. */

import { LOST, type Aside, type AsideAnswer } from "./aside.js";

/**
 * Starts one with the core's own module. Its script is `aside-browser-worker.js` beside this one: a bundler either understands
 * `new Worker(new URL(...))` or is told to emit that file as an entry of its own. Without it the machine's own thread compiles.
 */
export function startAside(module: WebAssembly.Module): Aside {
  const worker = new Worker(new URL("./aside-browser-worker.js", import.meta.url), { type: "module" });
  const answers: AsideAnswer[] = [];
  let died = false;
  worker.onmessage = ({ data }: MessageEvent<AsideAnswer>) => {
    answers.push(data);
  };
  worker.onerror = () => {
    died = true;
  };
  worker.postMessage(module);
  return {
    send: (job) => {
      if (!died) worker.postMessage(job, [job.buffer]);
      return !died;
    },
    receive: () => answers.shift() ?? (died ? LOST : undefined),
    close: () => {
      worker.terminate();
    },
  };
}

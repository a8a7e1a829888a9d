/** The addon, judged by what the kernel shows of this process in /proc and by programs of the host's. */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";
import { loadNative, type Native } from "@terrarium/core/native";

const isLinux = process.platform === "linux";
if (!isLinux) process.stderr.write(`The addon is not tested: this is ${process.platform}\n`);
const pythonMissing = spawnSync("python3", ["--version"]).error !== undefined;
if (pythonMissing) process.stderr.write("Too many descriptors are not sent: there is no python3\n");

/** O_CLOEXEC as fdinfo shows it (proc_pid_fdinfo(5)). */
const CLOSE_ON_EXEC = 0o2000000;

function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

function isClosedOnExec(descriptor: number): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8"));
  return (Number.parseInt(flags?.[1] ?? "0", 8) & CLOSE_ON_EXEC) !== 0;
}

/** Whether a thread of this process waits for another process (its name in `node/src/process.rs`). */
function isWaiting(task: string): boolean {
  try {
    return readFileSync(`/proc/self/task/${task}/comm`, "utf8") === "process end\n";
  } catch {
    // It has just ended.
    return false;
  }
}

/** The code of what `act` throws. */
function codeOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return undefined;
}

describe.skipIf(!isLinux)("descriptors", () => {
  const native: Native = isLinux ? loadNative() : (undefined as never);
  const directory = mkdtempSync(join(tmpdir(), "terrarium-native-"));
  const file = join(directory, "file");
  writeFileSync(file, "grown here");

  test("arrive as the same open files, with the bytes, and are closed by execve", () => {
    const before = openDescriptors();
    const [one, other] = native.socketPair();
    const sent = openSync(file, "r");
    readSync(sent, Buffer.alloc(6));
    native.sendMessage(one, Buffer.from("the first"), [sent, sent]);
    closeSync(sent);
    const message = native.receiveMessage(other);
    expect(Buffer.from(message?.bytes ?? []).toString()).toBe("the first");
    const [first = -1, second = -1] = message?.descriptors ?? [];
    expect(readlinkSync(`/proc/self/fd/${first}`)).toBe(file);
    const rest = Buffer.alloc(9);
    // Whoever shares an open file shares its position.
    expect(rest.toString("utf8", 0, readSync(second, rest))).toBe("here");
    expect(readSync(first, rest)).toBe(0);
    const all = [one, other, first, second];
    expect(all.map(isClosedOnExec)).toEqual([true, true, true, true]);
    all.forEach((descriptor) => {
      closeSync(descriptor);
    });
    expect(openDescriptors()).toBe(before);
  });

  test("are received in order, and nothing where nothing has been sent", () => {
    const [one, other] = native.socketPair();
    expect(native.receiveMessage(other)).toBeNull();
    for (const text of ["a", "b", ""]) native.sendMessage(one, Buffer.from(text), []);
    const received = [1, 2, 3].map(() => Buffer.from(native.receiveMessage(other)?.bytes ?? "none").toString());
    expect(received).toEqual(["a", "b", ""]);
    expect(native.receiveMessage(other)).toBeNull();
    closeSync(one);
    closeSync(other);
  });

  test("find their way to a socket by its path", () => {
    const path = join(directory, "socket");
    const bound = native.bindSocket(path);
    expect(codeOf(() => native.bindSocket(path))).toBe("EADDRINUSE");
    const connected = native.connectSocket(path);
    native.sendMessage(connected, Buffer.from("hello"), [connected]);
    const message = native.receiveMessage(bound);
    expect(Buffer.from(message?.bytes ?? []).toString()).toBe("hello");
    for (const descriptor of [bound, connected, ...(message?.descriptors ?? [])]) closeSync(descriptor);
    expect(codeOf(() => native.connectSocket(path))).toBe("ECONNREFUSED");
    expect(codeOf(() => native.connectSocket(join(directory, "nothing")))).toBe("ENOENT");
    expect(codeOf(() => native.connectSocket(`${directory}/${"x".repeat(120)}`))).toBe("ENAMETOOLONG");
  });

  test("are refused where they are none, or too many, or at no socket", () => {
    const before = openDescriptors();
    const [one, other] = native.socketPair();
    const gone = openSync(file, "r");
    closeSync(gone);
    const send = (descriptors: unknown, socket: unknown = one, bytes: unknown = new Uint8Array()): unknown =>
      codeOf(() => {
        native.sendMessage(socket as number, bytes as Uint8Array, descriptors as number[]);
      });
    for (const none of [gone, -1, 1.5, Number.NaN, Infinity, 2 ** 32 + 1])
      expect(send([none]), String(none)).toBe("EBADF");
    expect(send(new Array(9).fill(one))).toBe("EMSGSIZE");
    expect(send([], one, new Uint8Array(4097))).toBe("EMSGSIZE");
    const opened = openSync(file, "r");
    expect(send([], opened)).toBe("ENOTSOCK");
    closeSync(opened);
    expect(send(["1"])).toBe("NumberExpected");
    expect(send("1")).toMatch(/Expected|InvalidArg/);
    expect(send([], {})).toBe("NumberExpected");
    expect(send([], one, "text")).toBe("InvalidArg");
    expect(native.receiveMessage(other)).toBeNull();
    closeSync(other);
    expect(send([one])).toBe("ECONNREFUSED");
    closeSync(one);
    expect(codeOf(() => native.receiveMessage(one))).toBe("EBADF");
    expect(openDescriptors()).toBe(before);
  });

  test.skipIf(pythonMissing)("of a message with more than is allowed are closed", () => {
    const path = join(directory, "crowded");
    const bound = native.bindSocket(path);
    const before = openDescriptors();
    const script = `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(sys.argv[1])
socket.send_fds(s, [b"many"], [0] * 200); socket.send_fds(s, [b"x" * 5000], [0]); socket.send_fds(s, [b"few"], [0] * 8)`;
    expect(spawnSync("python3", ["-c", script, path], { stdio: ["pipe", "inherit", "inherit"] }).status).toBe(0);
    expect(codeOf(() => native.receiveMessage(bound))).toBe("EMSGSIZE");
    expect(codeOf(() => native.receiveMessage(bound))).toBe("EMSGSIZE");
    expect(openDescriptors()).toBe(before);
    const message = native.receiveMessage(bound);
    expect(message?.descriptors).toHaveLength(8);
    for (const descriptor of [bound, ...(message?.descriptors ?? [])]) closeSync(descriptor);
  });

  test("are not used up by a thousand passes", () => {
    const [one, other] = native.socketPair();
    const before = openDescriptors();
    for (let times = 0; times < 1_000; times++) {
      native.sendMessage(one, Buffer.from("again"), [0, one, other]);
      native.receiveMessage(other)?.descriptors.forEach((descriptor) => {
        closeSync(descriptor);
      });
    }
    expect(openDescriptors()).toBe(before);
    closeSync(one);
    closeSync(other);
  });

  test("that nobody takes make the sender try again, not wait", () => {
    const [one, other] = native.socketPair();
    const before = openDescriptors();
    let sent = 0;
    const code = codeOf(() => {
      for (; sent < 100_000; sent++) native.sendMessage(one, new Uint8Array(4), [one]);
    });
    expect(code).toMatch(/^(EAGAIN|ETOOMANYREFS)$/);
    for (let received = 0; received < sent; received++) native.receiveMessage(other)?.descriptors.forEach(closeSync);
    expect(native.receiveMessage(other)).toBeNull();
    expect(openDescriptors()).toBe(before);
    closeSync(one);
    closeSync(other);
    rmSync(directory, { recursive: true });
  });
});

describe.skipIf(!isLinux)("a terminal", () => {
  const native: Native = isLinux ? loadNative() : (undefined as never);

  test("has the size it is given, which its program sees", () => {
    const { master, slave } = native.openTerminal({ columns: 91, rows: 37 });
    const size = (): string => spawnSync("stty", ["size"], { stdio: [slave, "pipe", "inherit"] }).stdout.toString();
    expect(size()).toBe("37 91\n");
    native.setWindowSize(master, { columns: 5, rows: 6 });
    expect(size()).toBe("6 5\n");
    spawnSync("stty", ["cols", "44"], { stdio: [slave, "pipe", "inherit"] });
    expect(native.windowSize(master)).toEqual({ columns: 44, rows: 6 });
    expect([master, slave].map(isClosedOnExec)).toEqual([true, true]);
    for (const columns of [-1, 65_536, 0.5, Number.NaN]) {
      expect(
        codeOf(() => {
          native.setWindowSize(master, { columns, rows: 1 });
        }),
      ).toBe("EINVAL");
    }
    closeSync(slave);
    closeSync(master);
    expect(codeOf(() => native.windowSize(master))).toBe("EBADF");
    const directory = openSync("/", "r");
    expect(codeOf(() => native.windowSize(directory))).toBe("ENOTTY");
    closeSync(directory);
  });
});

describe.skipIf(!isLinux)("a handle on a process", () => {
  const native: Native = isLinux ? loadNative() : (undefined as never);

  test("tells of its end, of many at once, while files are read and timers fire", async () => {
    const before = openDescriptors();
    const children = Array.from({ length: 20 }, () => spawn("sleep", ["1000"], { stdio: "ignore" }));
    const handles = children.map(({ pid = 0 }) => native.ProcessHandle.open(pid));
    const ended = Promise.all(handles.map((handle) => handle.ended()));
    // Node has four threads for files.
    await Promise.all(Array.from({ length: 8 }, () => readFile("/proc/self/status")));
    for (const handle of handles) handle.signal(15);
    expect(new Set(await ended)).toEqual(new Set([true]));
    for (const handle of handles) handle.close();
    await expect.poll(openDescriptors, { timeout: 5_000 }).toBeLessThanOrEqual(before);
  });

  test("means no other process when that one has ended, whoever gets its number", async () => {
    const child = spawn("sleep", ["1000"], { stdio: "ignore" });
    const handle = native.ProcessHandle.open(child.pid ?? 0);
    const exited = once(child, "exit");
    handle.signal(9);
    expect(await exited).toEqual([null, "SIGKILL"]);
    expect(
      codeOf(() => {
        handle.signal(9);
      }),
    ).toBe("ESRCH");
    expect(await handle.ended()).toBe(true);
    expect(codeOf(() => native.ProcessHandle.open(child.pid ?? 0))).toBe("ESRCH");
    handle.close();
    expect(
      codeOf(() => {
        handle.signal(9);
      }),
    ).toBe("EBADF");
    expect(codeOf(() => handle.ended())).toBe("EBADF");
  });

  test("lets go of who waits when it is closed", async () => {
    const child = spawn("sleep", ["1000"], { stdio: "ignore" });
    const handle = native.ProcessHandle.open(child.pid ?? 0);
    const ended = handle.ended();
    handle.close();
    handle.close();
    expect(await ended).toBe(false);
    expect(child.exitCode).toBeNull();
    child.kill("SIGKILL");
  });

  test("may be waited for by a thread of JavaScript's that ends before it", async () => {
    const child = spawn("sleep", ["1000"], { stdio: "ignore" });
    const addon = fileURLToPath(import.meta.resolve("@terrarium/core/native"));
    const script = `import(${JSON.stringify(addon)}).then(({ loadNative }) => {
      loadNative().ProcessHandle.open(${String(child.pid)}).ended();
      require("node:worker_threads").parentPort.postMessage("waits");
    });`;
    const worker = new Worker(script, { eval: true });
    expect(await once(worker, "message")).toEqual(["waits"]);
    await worker.terminate();
    const threads = (): number => readdirSync("/proc/self/task").filter((task) => isWaiting(task)).length;
    expect(threads()).toBe(1);
    child.kill("SIGKILL");
    await expect.poll(threads).toBe(0);
  });

  test("is refused for what is no process, and no signal", () => {
    for (const pid of [0, -1, 1.5, Number.NaN, 2 ** 22 + 1, 2 ** 40]) {
      expect(
        codeOf(() => native.ProcessHandle.open(pid)),
        String(pid),
      ).toMatch(/^(ESRCH|EINVAL)$/);
    }
    const handle = native.ProcessHandle.open(process.pid);
    for (const signal of [-1, 0.5, 1_000, Number.NaN]) {
      expect(
        codeOf(() => {
          handle.signal(signal);
        }),
        String(signal),
      ).toBe("EINVAL");
    }
    handle.close();
  });
});

describe("the addon", () => {
  /** What loading it says from a place where `lay` has put something. */
  function loadFrom(lay: (place: string) => void, prelude = ""): string {
    const place = mkdtempSync(join(tmpdir(), "terrarium-native-"));
    mkdirSync(join(place, "dist"));
    writeFileSync(join(place, "package.json"), '{ "type": "module" }');
    const built = fileURLToPath(new URL("../../packages/core/dist/native.js", import.meta.url));
    cpSync(built, join(place, "dist/native.js"));
    lay(place);
    const script = `${prelude}; const { loadNative } = await import(${JSON.stringify(join(place, "dist/native.js"))});
      try { loadNative(); } catch ({ name, code, reason, mend }) { console.log(name, code, reason, mend); }`;
    const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    rmSync(place, { recursive: true });
    return stdout;
  }

  test("that cannot be loaded says why, and what to do", () => {
    expect(loadFrom(() => undefined)).toMatch(/^NativeError ADDON_UNAVAILABLE Cannot find module .*npm run build/);
    const broken = (place: string): void => {
      mkdirSync(join(place, "pkg/native"), { recursive: true });
      writeFileSync(join(place, "pkg/native/terrarium.node"), "no library\n".repeat(100));
    };
    expect(loadFrom(broken)).toMatch(/^NativeError ADDON_UNAVAILABLE .*invalid ELF header.*npm run build/);
    const elsewhere = 'Object.defineProperty(process, "platform", { value: "plan9" })';
    expect(loadFrom(() => undefined, elsewhere)).toBe(
      "NativeError ADDON_UNAVAILABLE this is plan9 it is for Linux alone\n",
    );
  });

  test.each([
    ["browser", ["@terrarium/machine", "@terrarium/machine/browser-worker", "@terrarium/core/aside-browser-worker"]],
    ["node", ["@terrarium/machine", "@terrarium/machine/worker"]],
  ] as const)("is nothing that a machine in %s loads", async (platform, entries) => {
    const { metafile } = await build({
      entryPoints: entries.map((entry) => fileURLToPath(import.meta.resolve(entry))),
      bundle: true,
      write: false,
      metafile: true,
      format: "esm",
      platform,
      outdir: "unused",
      logLevel: "error",
    });
    const inputs = Object.keys(metafile.inputs);
    expect(inputs.filter((path) => path.includes("packages/core/dist/"))).not.toEqual([]);
    expect(inputs.filter((path) => path.includes("native"))).toEqual([]);
  });
});

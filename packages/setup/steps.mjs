/**
 * What has to be there before anything runs. Each step names what it is made from and what it makes; it runs when one
 * has changed or the other is missing.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { environment, logged, onPath, SetupError } from "./command.mjs";
import { filesBelow } from "./stamp.mjs";

export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const at = (...parts) => join(root, ...parts);

const WASM_TARGET = "wasm32-unknown-unknown";
/** The guest's agent is built for each architecture the images have. */
const AGENT_TARGETS = { amd64: "x86_64-unknown-linux-musl", i386: "i686-unknown-linux-musl" };
const WASM_PACK_VERSION = "0.15";

const cores = at("emulator-core/crates");
/** Crates of the workspace that are not part of the WebAssembly core. */
const NATIVE_CRATES = new Set(["agent", "oracle", "filetest", "fuzz", "hosted", "kvm", "container", "archive", "node"]);

/** Names of the guest images: the folders with a recipe. */
export function imageNames() {
  return readdirSync(at("images")).filter((name) => existsSync(at("images", name, "image.ts")));
}

/** Packages, in the sense of npm workspaces, below `folder`. */
function packagesIn(folder) {
  return readdirSync(at(folder)).map((name) => `${folder}/${name}`);
}

const workspaces = [...packagesIn("packages"), "images", "benchmarks"];

const modules = {
  name: "modules",
  title: "node modules (npm ci)",
  // Not package.json: the lock file changes whenever what is installed changes, and npm ci checks one against the other.
  inputs: () => [at("package-lock.json")],
  outputs: () => [at("node_modules/.package-lock.json"), at("node_modules/.bin/node")],
  async run(step) {
    const npm = process.env.npm_execpath;
    const [command, ...args] = npm === undefined ? ["npm"] : [process.execPath, npm];
    await step.exec(command, [...args, "ci", "--no-audit", "--no-fund"]);
  },
};

const rust = {
  name: "rust",
  title: "Rust targets (rustup)",
  neededBy: ["core", "agent", "container", "addon"],
  async run(step) {
    if (!onPath("cargo", step.env)) {
      throw new SetupError(
        "There is no Rust here.",
        "Install stable Rust 1.95 or newer with rustup, then start again.",
      );
    }
    if (!onPath("cc", step.env)) {
      throw new SetupError(
        "There is no C linker here, which cargo needs.",
        "Install gcc and libc6-dev, then start again.",
      );
    }
    const wanted = [WASM_TARGET, ...Object.values(AGENT_TARGETS)];
    if (!onPath("rustup", step.env)) return;
    const installed = (
      await step.exec("rustup", ["target", "list", "--installed"], { cwd: at("emulator-core") })
    ).split("\n");
    const missing = wanted.filter((target) => !installed.includes(target));
    if (missing.length > 0) await step.exec("rustup", ["target", "add", ...missing], { cwd: at("emulator-core") });
  },
};

const wasmPack = {
  name: "wasm-pack",
  title: "wasm-pack",
  neededBy: ["core"],
  after: ["rust"],
  async run(step) {
    if (onPath("wasm-pack", step.env)) return;
    await step.exec("cargo", ["install", "wasm-pack", "--locked", "--version", `^${WASM_PACK_VERSION}`]);
  },
};

const core = {
  name: "core",
  title: "emulator core (Rust to WebAssembly)",
  after: ["modules", "rust", "wasm-pack"],
  inputs: () => [
    ...["Cargo.toml", "Cargo.lock", ".cargo"].map((path) => at("emulator-core", path)),
    ...readdirSync(cores)
      .filter((name) => !NATIVE_CRATES.has(name))
      .map((name) => join(cores, name)),
  ],
  outputs: () => [at("packages/core/pkg/terrarium_bg.wasm"), at("packages/core/pkg/terrarium.js")],
  async run(step) {
    const out = ["--out-dir", at("packages/core/pkg"), "--out-name", "terrarium"];
    await step.exec("wasm-pack", ["build", join(cores, "wasm"), "--target", "web", "--release", ...out]);
  },
};

const agent = {
  name: "agent",
  title: "guest agent (Rust)",
  after: ["rust"],
  inputs: () => [
    ...["Cargo.toml", ".cargo"].map((path) => at("emulator-core", path)),
    join(cores, "agent"),
    join(cores, "archive"),
  ],
  outputs: () => Object.keys(AGENT_TARGETS).map((architecture) => at(".cache/agent", architecture)),
  async run(step) {
    const targets = process.env.CARGO_TARGET_DIR ?? at("emulator-core/target");
    for (const [architecture, target] of Object.entries(AGENT_TARGETS)) {
      await step.exec(
        "cargo",
        ["build", "-p", "agent", "--profile", "agent", "--target", target, "--target-dir", targets],
        {
          cwd: at("emulator-core"),
        },
      );
      const file = at(".cache/agent", architecture);
      mkdirSync(dirname(file), { recursive: true });
      copyFileSync(join(targets, target, "agent/terrarium-agent"), `${file}.new`);
      renameSync(`${file}.new`, file);
    }
  },
};

const container = {
  name: "container",
  title: "container runtime (Rust)",
  after: ["rust"],
  inputs: () => [
    ...["Cargo.toml", "Cargo.lock", ".cargo"].map((path) => at("emulator-core", path)),
    join(cores, "container"),
    join(cores, "archive"),
  ],
  outputs: () => [at("packages/container/pkg/terrarium-container")],
  async run(step) {
    const target = AGENT_TARGETS.amd64;
    const targets = process.env.CARGO_TARGET_DIR ?? at("emulator-core/target");
    const where = ["--profile", "agent", "--target", target, "--target-dir", targets];
    await step.exec("cargo", ["build", "-p", "container", ...where], { cwd: at("emulator-core") });
    const file = at("packages/container/pkg/terrarium-container");
    mkdirSync(dirname(file), { recursive: true });
    copyFileSync(join(targets, target, "agent/terrarium-container"), `${file}.new`);
    renameSync(`${file}.new`, file);
  },
};

const addon = {
  name: "addon",
  title: "addon for Node (Rust)",
  after: ["modules", "rust"],
  inputs: () => [
    ...["Cargo.toml", "Cargo.lock", ".cargo"].map((path) => at("emulator-core", path)),
    join(cores, "node"),
    at("packages/core/package.json"),
  ],
  outputs: () => ["terrarium.node", "index.d.ts"].map((file) => at("packages/core/pkg/native", file)),
  async run(step) {
    const targets = process.env.CARGO_TARGET_DIR ?? at("emulator-core/target");
    const from = [
      "--manifest-path",
      join(cores, "node/Cargo.toml"),
      "--package-json-path",
      "packages/core/package.json",
    ];
    const to = ["--target-dir", targets, "--output-dir", "packages/core/pkg/native"];
    await step.exec("napi", ["build", "--profile", "agent", ...from, ...to]);
  },
};

const typescript = {
  name: "typescript",
  title: "TypeScript",
  after: ["modules", "core", "addon"],
  inputs: () => [
    at("tsconfig.json"),
    ...workspaces.map((path) => at(path)),
    at("packages/core/pkg/terrarium.d.ts"),
    at("packages/core/pkg/native/index.d.ts"),
  ],
  outputs: () => [at("packages/cli/dist/main.js"), at("images/dist/build/main.js")],
  run: (step) => step.exec("tsc", ["--build"]),
};

/** The step that makes the guest image of that name. */
function image(name) {
  return {
    name: `image-${name}`,
    title: `guest image ${name}`,
    after: ["typescript", "agent"],
    inputs: () => [at("images"), ...agent.outputs()],
    outputs: () => ["vmlinuz", "initrd.img", "manifest.json"].map((file) => at(".cache/images", name, file)),
    run: (step) => step.exec("node", [at("images/dist/build/main.js"), name]),
  };
}

/** All steps, in an order in which they could run one by one, with these guest images. */
export function stepsFor(images) {
  return [modules, rust, wasmPack, core, agent, container, addon, typescript, ...images.map(image)].map((step) => ({
    after: [],
    ...step,
    files: () => filesBelow(step.inputs?.() ?? []),
  }));
}

/** What a step's `run` works with. */
export function workbench(step, detail) {
  const env = environment(root);
  const log = at(".cache/setup", `${step.name}.log`);
  return {
    env,
    exec: (command, args, options = {}) => logged(command, args, { cwd: root, env, log, detail, ...options }),
  };
}

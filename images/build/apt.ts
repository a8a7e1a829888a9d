/**
 * The machine's own apt, with its sources, keys and proxies, but with state of our own: no root is needed, nothing on
 * the host changes, and architectures the host does not have (i386) can be asked for.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Architecture } from "../recipe.js";
import type { PackageArchive, Say } from "./archive.js";
import { parseStanza, type PackageVersion, type Stanza } from "./index-file.js";

const run = promisify(execFile);
const MAX_OUTPUT_BYTES = 16 << 20;

/** apt as a package archive. Close it to remove its state. */
export class Apt implements PackageArchive, AsyncDisposable {
  readonly #directory: string;
  readonly #configuration: string;
  readonly #say: Say;
  #updated: Promise<void> | undefined;

  private constructor(directory: string, say: Say) {
    this.#directory = directory;
    this.#configuration = join(directory, "apt.conf");
    this.#say = say;
  }

  /** Whether this machine has apt at all. */
  static async available(): Promise<boolean> {
    return run("apt-get", ["--version"]).then(
      () => true,
      () => false,
    );
  }

  /** Opens a session whose state lies in a new directory below `parent`. */
  static async open(parent: string, say: Say): Promise<Apt> {
    const apt = new Apt(await mkdtemp(join(parent, "apt-")), say);
    await mkdir(join(apt.#directory, "state/lists/partial"), { recursive: true });
    await mkdir(join(apt.#directory, "cache/archives/partial"), { recursive: true });
    await writeFile(join(apt.#directory, "status"), "");
    await writeFile(apt.#configuration, configuration(apt.#directory));
    return apt;
  }

  async newest(name: string, architecture: Architecture): Promise<Stanza | undefined> {
    await this.#update();
    return this.#show(`${name}:${architecture}`);
  }

  async providers(name: string, architecture: Architecture): Promise<string[]> {
    await this.#update();
    const shown = await this.#apt("apt-cache", ["showpkg", `${name}:${architecture}`]);
    const [, providers = ""] = shown.split(/^Reverse Provides: *\n/m);
    // A line is `name version (= version it provides)`, with `name:architecture` where that is not the native one.
    const named = [...providers.matchAll(/^([^\s:]+)(?::(\S+))? /gm)];
    return named.filter(([, , other]) => other === undefined || other === architecture).map(([, name = ""]) => name);
  }

  async download(wanted: PackageVersion, destination: string): Promise<boolean> {
    await this.#update();
    const exact = `${wanted.package}:${wanted.architecture}=${wanted.version}`;
    if ((await this.#show(exact)) === undefined) return false;
    const directory = await mkdtemp(join(this.#directory, "download-"));
    await this.#apt("apt-get", ["download", "--quiet", exact], directory);
    const [deb] = (await readdir(directory)).filter((name) => name.endsWith(".deb"));
    if (deb === undefined) throw new Error(`apt-get download ${exact} left no package behind`);
    await rename(join(directory, deb), destination);
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Fetches the package lists, once a session. */
  #update(): Promise<void> {
    this.#updated ??= (async () => {
      this.#say("reading Debian's package lists through apt");
      try {
        await this.#apt("apt-get", ["update", "--quiet"]);
      } catch (error) {
        // A third-party source that is down, or a mirror in the middle of a sync, need not matter: whether the
        // packages can be had is seen when they are asked for.
        this.#say(`apt-get update was not complete, going on with what there is: ${firstError(error)}`);
      }
    })();
    return this.#updated;
  }

  async #show(selection: string): Promise<Stanza | undefined> {
    try {
      return parseStanza(await this.#apt("apt-cache", ["show", "--no-all-versions", selection]));
    } catch {
      // apt-cache exits with 100 for a package or version it does not know.
      return undefined;
    }
  }

  async #apt(program: string, args: readonly string[], cwd = this.#directory): Promise<string> {
    const environment = { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
    const { stdout } = await run(program, ["-c", this.#configuration, ...args], {
      cwd,
      env: environment,
      maxBuffer: MAX_OUTPUT_BYTES,
    });
    return stdout;
  }
}

/**
 * Read after the machine's configuration (`-c`), so it can take back the hooks that expect the host's own state, and the
 * container images' setting that has apt read all lists again for every question.
 */
function configuration(directory: string): string {
  return `
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
APT::Architecture "amd64";
APT::Architectures { "amd64"; "i386"; };
APT::Sandbox::User "";
Dir::State "${directory}/state";
Dir::State::status "${directory}/status";
Dir::Cache "${directory}/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
`;
}

function firstError(error: unknown): string {
  const stderr = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
  return /^E: (.*)$/m.exec(stderr)?.[1] ?? stderr.trim();
}

/**
 * Whether a step's inputs are those of its last success.
 *
 * Looking at sizes and times is fast and enough to say "nothing has happened"; when something has, contents decide, so
 * that a branch switched away and back costs one reading and no building.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/**
 * Files below `paths`, sorted; a path may be a file or a directory. Directories that hold what is made from other
 * files are left out.
 */
export function filesBelow(paths) {
  const made = new Set(["node_modules", "dist", "target", "pkg", ".cache"]);
  const visit = (path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    if (!stat.isDirectory()) return [path];
    return readdirSync(path)
      .filter((name) => !made.has(name))
      .flatMap((name) => visit(join(path, name)));
  };
  return paths.flatMap(visit).sort();
}

/** The record of one step's last success, kept in `file`. */
export class Stamp {
  constructor(file, root) {
    this.file = file;
    this.root = root;
  }

  /** Whether `files` are what they were, and `facts` (any JSON) too. */
  matches(files, facts) {
    const last = this.#read();
    if (last === undefined) return false;
    if (last.times === this.#times(files, facts)) return true;
    const same = last.contents === this.#contents(files, facts);
    if (same) this.record(files, facts);
    return same;
  }

  /** Remembers `files` and `facts` as those of a success. */
  record(files, facts) {
    mkdirSync(dirname(this.file), { recursive: true });
    const temporary = `${this.file}.${process.pid}.tmp`;
    writeFileSync(
      temporary,
      JSON.stringify({ times: this.#times(files, facts), contents: this.#contents(files, facts) }),
    );
    renameSync(temporary, this.file);
  }

  #read() {
    if (!existsSync(this.file)) return undefined;
    try {
      return JSON.parse(readFileSync(this.file, "utf8"));
    } catch {
      // Cut short by a crash: the step runs again.
      return undefined;
    }
  }

  #times(files, facts) {
    return this.#digest(files, facts, (file) => {
      const { size, mtimeMs } = statSync(file);
      return `${size} ${mtimeMs}`;
    });
  }

  #contents(files, facts) {
    return this.#digest(files, facts, (file) => createHash("sha256").update(readFileSync(file)).digest("hex"));
  }

  #digest(files, facts, describe) {
    const hash = createHash("sha256").update(JSON.stringify(facts ?? null));
    for (const file of files) hash.update(`${relative(this.root, file)} ${describe(file)}\n`);
    return hash.digest("hex");
  }
}

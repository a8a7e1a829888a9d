/** A tree, and what starts a program in it, as an archive that the kernel unpacks into its root. */

import { packCpio, type Entry } from "@terrarium/images/cpio";
import { malformed } from "@terrarium/machine/guest-kit";
import type { Directory, Leaf, Tree } from "./tree.js";

/** Where emulator-core/crates/agent/src/init.rs looks. */
const DIRECTORY = ".terrarium";

/** Their number has two bytes. */
const MAX_WORDS = 0xffff;

/** The kernel's word for where its first process is. */
export const INIT = `/${DIRECTORY}/init`;

/** What is to be run, as whom, and where. */
export interface Plan {
  readonly hostname: string;
  /** Whether the console is the program's terminal. */
  readonly terminal: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly cwd: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Packs the image's files, `agent` as its init, and the plan. */
export function packMachine(tree: Tree, agent: Uint8Array, plan: Plan): Uint8Array {
  tree.remove(DIRECTORY);
  const entries = entriesOf(tree.root);
  const own: Entry[] = [
    { type: "directory", path: DIRECTORY },
    { type: "file", path: INIT.slice(1), mode: 0o755, data: agent },
    { type: "file", path: `${DIRECTORY}/plan`, data: planBytes(plan) },
    { type: "file", path: `${DIRECTORY}/capabilities`, data: capabilitiesOf(entries) },
  ];
  const root: Entry = { ...tree.root.attributes, type: "directory", path: "." };
  // The kernel unpacks one archive behind the other, and stops where there is no room: ours is last, so that nothing runs
  // in half an image.
  return Buffer.concat([packCpio([root, ...entries]), packCpio(own)]);
}

/** Five texts, then arguments and variables as a START message of the agent's has them (its PROTOCOL.md). */
function planBytes({ hostname, terminal, uid, gid, groups, cwd, command, env }: Plan): Uint8Array {
  const texts = (all: readonly (string | number)[]): Buffer => Buffer.from(all.map((text) => `${text}\0`).join(""));
  if (command.length > MAX_WORDS) throw malformed("command", `${command.length} words`, `at most ${MAX_WORDS} words`);
  const count = Buffer.alloc(2);
  count.writeUInt16LE(command.length);
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const head = texts([hostname, terminal ? 1 : 0, uid, gid, groups.join(",")]);
  return Buffer.concat([head, count, texts([cwd, ...command, ...variables])]);
}

/** Archives of this format have no attributes: the paths of files with capabilities, each with those in hexadecimal digits. */
function capabilitiesOf(entries: readonly Packed[]): Uint8Array {
  const texts = entries.flatMap(({ path, capability }) =>
    capability === undefined ? [] : [`/${path}\0${Buffer.from(capability).toString("hex")}\0`],
  );
  return Buffer.from(texts.join(""));
}

/** An entry, and what a program that it is may do beyond its user. */
type Packed = Entry & { readonly capability?: Uint8Array };

/** The tree's entries; a file with several names is one entry. */
function entriesOf(root: Directory): Packed[] {
  const entries: Packed[] = [];
  const linked = new Map<Leaf, string[]>();
  const walk = ({ children }: Directory, above: string): void => {
    for (const [name, { node }] of children) {
      const path = `${above}${name}`;
      if (node.type === "directory") {
        entries.push({ ...node.attributes, type: "directory", path });
        walk(node, `${path}/`);
        continue;
      }
      const links = linked.get(node);
      if (links !== undefined) {
        links.push(path);
        continue;
      }
      const more: string[] = [];
      linked.set(node, more);
      entries.push(node.type === "file" ? { ...node, path, links: more } : { ...node, path });
    }
  };
  walk(root, "");
  return entries;
}

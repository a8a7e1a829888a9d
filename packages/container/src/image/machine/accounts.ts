/** Users by their names, as the image's own /etc/passwd and /etc/group have them (passwd(5), group(5)). */

import { MachineError } from "@terrarium/machine";
import type { User } from "../../config.js";
import type { Tree } from "./tree.js";

/** Far more than any such file has; the image is not to be trusted. */
const MAX_FILE_BYTES = 4 << 20;
const MAX_ID = 0xffff_ffff;

/** Whose a process is. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly home: string;
}

/**
 * Who `user` is, with the same rules as emulator-core/crates/container/src/user.rs.
 * @throws MachineError `USER_UNKNOWN`
 */
export function accountOf(tree: Tree, user: User): Account {
  if (typeof user !== "string") return { ...user, groups: [], home: "/root" };
  const unknown = (): MachineError => new MachineError("USER_UNKNOWN", `The image has no user ${user}.`, { user });
  const [name = "", ...more] = user.split(":");
  const wanted = more.join(":");
  const groups = lines(tree, "/etc/group");
  const number = idOf(name);
  const account = lines(tree, "/etc/passwd").find((fields) => fields[number === undefined ? 0 : 2] === name);
  const uid = number ?? idOf(account?.[2] ?? "");
  if (uid === undefined) throw unknown();
  const home = account?.[5] ?? "";
  const rest = { uid, home: home === "" ? "/" : home };
  if (wanted === "") return { ...rest, gid: idOf(account?.[3] ?? "") ?? 0, groups: groupsOf(account?.[0], groups) };
  const gid = idOf(wanted) ?? idOf(groups.find((fields) => fields[0] === wanted)?.[2] ?? "");
  if (gid === undefined) throw unknown();
  return { ...rest, gid, groups: [] };
}

function groupsOf(account: string | undefined, groups: readonly string[][]): number[] {
  if (account === undefined) return [];
  const joined = groups.filter((fields) => fields[3]?.split(",").includes(account) === true);
  return joined.flatMap((fields) => idOf(fields[2] ?? "") ?? []);
}

function idOf(text: string): number | undefined {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : MAX_ID;
  return number < MAX_ID ? number : undefined;
}

function lines(tree: Tree, path: string): string[][] {
  const file = tree.find(path);
  if (file?.type !== "file") return [];
  const text = new TextDecoder().decode(file.data.subarray(0, MAX_FILE_BYTES));
  return text.split("\n").map((line) => line.split(":"));
}

/** Which ids of the host a container's are. */

import { readFileSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";

/** A range of ids, as the OCI runtime specification has it. */
export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** Ids for who may choose: a range beyond what useradd gives away, so that they belong to nobody. */
const FIRST_HOST_ID = 1_900_000_000;
const IDS = 65_536;

const SETUID = 0o4000;

/** Whether this process may choose which ids of the host a container gets. */
export function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

/** The mappings of users and of groups. */
export function mappings(): { readonly uids: readonly IdMapping[]; readonly gids: readonly IdMapping[] } {
  if (isRoot()) {
    const range = [{ containerID: 0, hostID: FIRST_HOST_ID, size: IDS }];
    return { uids: range, gids: range };
  }
  const [uid, gid] = [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
  const granted = mayDelegate() ? [read("/etc/subuid"), read("/etc/subgid")].map((text) => grantedTo(text, uid)) : [];
  const [users, groups] = granted;
  const one = (hostID: number): IdMapping => ({ containerID: 0, hostID, size: 1 });
  // Both or none: files whose group has no id would be in nobody's hands.
  if (users === undefined || groups === undefined) return { uids: [one(uid)], gids: [one(gid)] };
  return { uids: [one(uid), users], gids: [one(gid), groups] };
}

/** Whether the programs that write such maps for others have the rights to do so. */
function mayDelegate(): boolean {
  const places = (process.env["PATH"] ?? "").split(":");
  return ["newuidmap", "newgidmap"].every((program) => places.some((place) => isSetuid(join(place, program))));
}

function isSetuid(path: string): boolean {
  try {
    return (statSync(path).mode & SETUID) !== 0;
  } catch {
    // It is not there, or not for this user.
    return false;
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** The range that a user has been granted (subuid(5)), as ids from 1 on. Lines have a name or a number. */
export function grantedTo(text: string, uid: number, name: string | undefined = nameOf()): IdMapping | undefined {
  for (const line of text.split("\n")) {
    const [owner, first, count] = line.split(":");
    if (owner !== String(uid) && (name === undefined || owner !== name)) continue;
    const [hostID, size] = [Number(first), Math.min(Number(count), IDS - 1)];
    if (Number.isSafeInteger(hostID) && Number.isSafeInteger(size) && hostID > 0 && size > 0) {
      return { containerID: 1, hostID, size };
    }
  }
  return undefined;
}

function nameOf(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // A user without an entry has no name.
    return undefined;
  }
}

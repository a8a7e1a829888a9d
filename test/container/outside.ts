/** A host beyond this one: a network namespace with a cable to here, in a net that is nobody's (RFC 5737). */

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";

const ADDRESS = "198.51.100.2";
const HOST_ADDRESS = "198.51.100.1";

const SERVER = `use IO::Socket::INET; $| = 1; $s = IO::Socket::INET->new(LocalPort => 0, Listen => 5);
  print $s->sockport, "\\n"; while ($c = $s->accept) { print $c $c->peerhost; close $c }`;

export interface Outside extends AsyncDisposable {
  readonly address: string;
  /** This host's, as it is known there. */
  readonly hostAddress: string;
  run(words: readonly string[]): string;
  /** What it gets from a server. */
  ask(address: string, port: number): string;
  /** Starts a server there that tells everybody who they are. */
  serve(): { readonly port: Promise<number> };
}

/** Makes it. For root. */
export function makeOutside(): Outside {
  const keeper = spawn("unshare", ["--net", "sleep", "infinity"], { stdio: "ignore" });
  const pid = String(keeper.pid);
  const children: ChildProcess[] = [keeper];
  const device = `out${pid}`;
  const check = (words: readonly string[]): string => {
    const { status, stdout, stderr } = spawnSync(words[0] ?? "", words.slice(1), { encoding: "utf8" });
    if (status !== 0) throw new Error(`${words.join(" ")}: ${stderr}`);
    return stdout;
  };
  const inside = (words: readonly string[]): string[] => ["nsenter", "--target", pid, "--net", ...words];
  // It has another namespace than this process once unshare has become sleep.
  while (!check(["cat", `/proc/${pid}/comm`]).startsWith("sleep"));
  check(["ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", pid]);
  check(["ip", "addr", "add", `${HOST_ADDRESS}/24`, "dev", device]);
  check(["ip", "link", "set", device, "up"]);
  check(inside(["ip", "addr", "add", `${ADDRESS}/24`, "dev", "eth0"]));
  check(inside(["ip", "link", "set", "eth0", "up"]));
  return {
    address: ADDRESS,
    hostAddress: HOST_ADDRESS,
    run: (words) => check(inside(words)),
    ask(address, port) {
      const script = `use IO::Socket::INET; $c = IO::Socket::INET->new(PeerAddr => "${address}:${port}", Timeout => 2);
        print $c ? <$c> : "nothing"`;
      return check(inside(["perl", "-e", script]));
    },
    serve() {
      const [program = "", ...args] = inside(["perl", "-e", SERVER]);
      const server = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
      children.push(server);
      return { port: once(server.stdout, "data").then(([line]) => Number(String(line))) };
    },
    async [Symbol.asyncDispose]() {
      check(["ip", "link", "del", device]);
      for (const child of children) {
        child.kill();
        await once(child, "exit");
      }
    },
  };
}

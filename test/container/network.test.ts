import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { forbidden, makeRootfs, startContainer } from "./containers.js";
import { makeOutside } from "./outside.js";
import { ask, askFrom, external, SERVER, startServer } from "./peers.js";

/** Why this host has no bridges, as iproute2 is told, not we. */
const bridgeless: string | undefined = ((): string | undefined => {
  if (process.geteuid?.() !== 0) return "only root makes bridges";
  const script =
    "ip link add one type veth peer name two && ip link add three type bridge && ip link set two master three";
  const { status, stderr, error } = spawnSync("unshare", ["--net", "sh", "-c", script], { encoding: "utf8" });
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
})();

if (bridgeless !== undefined) process.stderr.write(`Networks with a bridge are not tried: ${bridgeless}\n`);

/** Whether another program's rules let this host forward nothing, which no table of ours can change. */
const forwardsNothing = /^-P FORWARD DROP$/m.test(String(spawnSync("iptables", ["-S", "FORWARD"]).stdout));
if (forwardsNothing)
  process.stderr.write("The way beyond the host is not tried: its iptables drop what is forwarded\n");

const ours = (): string[] => readdirSync("/sys/class/net").filter((name) => name.startsWith("terrarium"));

describe.skipIf(forbidden !== undefined || bridgeless !== undefined)("a container at a bridge", () => {
  test("reaches a server of the host, which sees the container's address", async () => {
    const server = createServer((socket) => socket.end(String(socket.remoteAddress))).listen(0, "0.0.0.0");
    await once(server, "listening");
    await using container = await startContainer({ network: "bridge" });
    const gateway = container.address?.replace(/\d+$/, "1") ?? "";
    const { port } = server.address() as AddressInfo;
    expect(await askFrom(container, gateway, port)).toBe(container.address);
    if (external !== undefined) expect(await askFrom(container, external, port)).toBe(container.address);
    // localhost is the container's own, and none of the host's services is to be had by a way around.
    expect(await askFrom(container, "127.0.0.1", port)).toBe("nothing");
    server.close();
  });

  test("is reached through ports of the host, and is told who asks", async () => {
    await using container = await startServer("bridge", {
      ports: [{ container: 80 }, { container: 80, address: "127.0.0.1" }],
    });
    const [open, local] = container.ports.map(({ host }) => host);
    const gateway = container.address?.replace(/\d+$/, "1");
    expect(await ask("127.0.0.1", open ?? 0)).toBe(gateway);
    expect(await ask("127.0.0.1", local ?? 0)).toBe(gateway);
    if (external !== undefined) {
      expect(await ask(external, open ?? 0)).toBe(external);
      expect(await ask(external, local ?? 0)).toBe("nothing");
      // The same way round for itself, and for another beside it.
      expect(await askFrom(container, external, open ?? 0)).toBe(gateway);
      await using neighbour = await startContainer({ network: "bridge" });
      expect(await askFrom(neighbour, external, open ?? 0)).toBe(gateway);
    }
    await container.stop();
    expect(await ask("127.0.0.1", open ?? 0)).toBe("nothing");
  });

  test("forwards datagrams", async () => {
    const echo = `use IO::Socket::INET; $| = 1; $s = IO::Socket::INET->new(LocalPort => 53, Proto => "udp");
      print "ready\\n"; while ($s->recv($m, 99)) { $s->send(uc $m) }`;
    await using container = await startServer("bridge", {
      command: ["perl", "-e", echo],
      ports: [{ container: 53, protocol: "udp" }],
    });
    const { createSocket } = await import("node:dgram");
    const socket = createSocket("udp4");
    socket.send("hello", container.ports[0]?.host ?? 0, "127.0.0.1");
    const [answer] = (await once(socket, "message")) as [Buffer];
    socket.close();
    expect(answer.toString()).toBe("HELLO");
  });

  test("reaches its neighbours, unless one of them is isolated", async () => {
    await using server = await startServer("bridge");
    await using neighbour = await startContainer({ network: "bridge" });
    expect(await askFrom(neighbour, server.address ?? "", 80)).toBe(neighbour.address);
    await using alone = await startServer({ kind: "bridge", isolated: true }, { ports: [{ container: 80 }] });
    await using other = await startContainer({ network: { kind: "bridge", isolated: true } });
    expect(await askFrom(other, alone.address ?? "", 80)).toBe("nothing");
    // Through the host's port it is there for everybody.
    const gateway = alone.address?.replace(/\d+$/, "1") ?? "";
    expect(await askFrom(other, gateway, alone.ports[0]?.host ?? 0)).toBe(gateway);
  });

  test.skipIf(forwardsNothing)("hides behind the host's address, and cannot be reached past it", async () => {
    await using outside = makeOutside();
    await using container = await startServer("bridge", { ports: [{ container: 80 }] });
    const answers = outside.serve();
    expect(await askFrom(container, outside.address, await answers.port)).toBe(outside.hostAddress);
    // Who has a route to the containers gets nothing of them but what is forwarded.
    outside.run(["ip", "route", "add", "10.192.0.0/10", "via", outside.hostAddress]);
    expect(outside.ask(container.address ?? "", 80)).toBe("nothing");
    expect(outside.ask(outside.hostAddress, container.ports[0]?.host ?? 0)).toBe(outside.address);
  });

  test("has a device, names and files as the host's network wants them", async () => {
    await using container = await startContainer({ network: "bridge", hostname: "box", dns: ["192.0.2.7"] });
    const route = spawnSync("ip", ["route", "show", "default"], { encoding: "utf8" }).stdout;
    const device = /dev (\S+)/.exec(route)?.[1];
    const mtu = device === undefined ? "1500\n" : readFileSync(`/sys/class/net/${device}/mtu`, "utf8");
    expect((await container.run("cat /sys/class/net/eth0/mtu")).stdout).toBe(mtu);
    expect((await container.run("cat /etc/resolv.conf")).stdout).toMatch(/^nameserver 192\.0\.2\.7\n/);
    expect((await container.run("cat /etc/hostname; getent ahostsv4 box")).stdout).toMatch(
      new RegExp(`^box\n${container.address?.replaceAll(".", "\\.")}\\s+STREAM box\n`),
    );
    // There is no IPv6 on it, not even what neighbours could reach.
    expect((await container.run("cat /proc/net/if_inet6")).stdout).not.toContain("eth0");
  });

  test("is refused a port that is taken, and leaves nothing", async () => {
    const server = createServer().listen(0, "0.0.0.0");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const before = ours();
    const refused = startContainer({ network: "bridge", ports: [{ container: 80, host: port }] });
    await expect(refused).rejects.toMatchObject({ code: "PORT_UNAVAILABLE", details: { port: `0.0.0.0:${port}` } });
    server.close();
    expect(ours()).toEqual(before);
  });

  test("of another process has another subnet, and everything of it goes with a killed runtime", async () => {
    await using container = await startContainer({ network: "bridge" });
    const before = ours();
    const script = `
      import { boot } from "@terrarium/container";
      const usr = { source: "/usr", target: "/usr", readonly: true };
      const container = await boot(${JSON.stringify({ rootfs: makeRootfs(), network: "bridge" })},
        { volumes: [usr], terminal: false, command: ["perl", "-e", ${JSON.stringify(SERVER)}], ports: [{ container: 80 }] });
      await container.console.waitFor("ready");
      console.log(JSON.stringify([container.pid, container.address, container.ports[0].host]));`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      cwd: import.meta.dirname,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const [pid, address, port] = JSON.parse(line.toString()) as [number, string, number];
    expect(address.split(".").slice(0, 3)).not.toEqual(container.address?.split(".").slice(0, 3));
    expect(await ask("127.0.0.1", port)).toMatch(/^10\./);
    expect(await askFrom(container, address, 80)).toBe("nothing");
    const helper = Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
    process.kill(helper, "SIGKILL");
    await expect.poll(ours, { timeout: 10_000 }).toEqual(before);
    expect(await ask("127.0.0.1", port)).toBe("nothing");
    child.kill();
  });
});

describe.skipIf(forbidden !== undefined)("a container without a network of its own", () => {
  test("has localhost and its own name, and no ports", async () => {
    await using container = await startContainer({ hostname: "box" });
    expect((await container.run("getent hosts box")).stdout).toMatch(/^127\.0\.0\.1\s+box\n/);
    expect(container.address).toBeUndefined();
    await expect(startContainer({ ports: [{ container: 80 }] })).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });

  test("or with the host's asks whom the host asks", async () => {
    await using container = await startContainer({ network: "host" });
    expect((await container.run("cat /etc/resolv.conf")).stdout).toBe(readFileSync("/etc/resolv.conf", "utf8"));
  });
});

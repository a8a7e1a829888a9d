import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { chmodSync, chownSync, readdirSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { join } from "node:path";
import type { Container } from "@terrarium/container";
import { describe, expect, test } from "vitest";
import { forbidden, makeRootfs, startContainer } from "./containers.js";
import { ask, askFrom, external, startServer } from "./peers.js";

const GATEWAY = "10.0.2.2";

if (external === undefined) process.stderr.write("Not tried: this host has no address that a container could reach\n");

/** A server of the host's that can be reached from outside. */
async function serve(listener: Parameters<typeof createServer>[1]): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true }, listener).listen(0, "0.0.0.0");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

async function md5From(container: Container, script: string): Promise<string> {
  const { stdout, stderr } = await container.run(["bash", "-c", script]);
  expect(stderr).toBe("");
  return stdout.split(" ")[0] ?? "";
}

describe.skipIf(forbidden !== undefined)("a container in a network that the runtime makes up", () => {
  test.skipIf(external === undefined)(
    "reaches servers that its host can reach, but for those of localhost",
    async () => {
      const { server, port } = await serve((socket) => socket.end(String(socket.remoteAddress)));
      await using container = await startContainer({ network: "user" });
      expect(await askFrom(container, external ?? "", port)).toBe(external);
      for (const address of ["127.0.0.1", GATEWAY, "10.0.2.3", "10.0.2.99", "0.0.0.0", "224.0.0.1"]) {
        expect([address, await askFrom(container, address, port)]).toEqual([address, "nothing"]);
      }
      server.close();
      // That there is nobody is told at once.
      const begun = performance.now();
      expect(await askFrom(container, external ?? "", port)).toBe("nothing");
      expect(performance.now() - begun).toBeLessThan(1_500);
    },
  );

  test("is reached through ports of the host, and is told who asks", async () => {
    await using container = await startServer("user", { ports: [{ container: 80 }] });
    const port = container.ports[0]?.host ?? 0;
    expect(await ask("127.0.0.1", port)).toBe(GATEWAY);
    if (external !== undefined) expect(await ask(external, port)).toBe(external);
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask("127.0.0.1", port)));
    expect(answers).toEqual(Array(20).fill(GATEWAY));
    // Where nobody serves, callers are sent away.
    await using deaf = await startContainer({ network: "user", ports: [{ container: 81 }] });
    expect(await ask("127.0.0.1", deaf.ports[0]?.host ?? 0)).toBe("nothing");
    await container.stop();
    expect(await ask("127.0.0.1", port)).toBe("nothing");
  });

  test.skipIf(external === undefined)("sends and receives every byte, both ways at once", async () => {
    const { server, port } = await serve((socket) => socket.pipe(socket));
    await using container = await startContainer({ network: "user" });
    const length = 32 << 20;
    const script = `exec 3<>/dev/tcp/${external}/${port}
      head -c ${length} /dev/zero | tr '\\0' 'ab' | tee >(md5sum > /tmp/sent) >&3 &
      head -c ${length} <&3 | md5sum`;
    const received = await md5From(container, script);
    const sent = createHash("md5").update("a".repeat(length)).digest("hex");
    expect(received).toBe(sent);
    server.close();
  });

  test.skipIf(external === undefined)("ends one way and is still heard the other", async () => {
    const { server, port } = await serve((socket) => {
      let length = 0;
      socket.on("data", (bytes) => (length += bytes.length));
      socket.on("end", () => socket.end(`${length} bytes`));
    });
    await using container = await startContainer({ network: "user" });
    const script = `use IO::Socket::INET; $c = IO::Socket::INET->new("${external}:${port}") or die;
      print $c "x" x 300000; shutdown($c, 1); print <$c>`;
    expect((await container.run(["perl", "-e", script])).stdout).toBe("300000 bytes");
    server.close();
  });

  test("exchanges datagrams, asked from either side", async () => {
    const echo = `use IO::Socket::INET; $| = 1; $s = IO::Socket::INET->new(LocalPort => 53, Proto => "udp");
      print "ready\\n"; while ($s->recv($m, 9999)) { $s->send(uc $m) }`;
    const ports = [{ container: 53, protocol: "udp" }] as const;
    await using container = await startServer("user", { command: ["perl", "-e", echo], ports });
    const socket = createSocket("udp4");
    socket.send("hello".repeat(1000), container.ports[0]?.host ?? 0, "127.0.0.1");
    const [answer] = (await once(socket, "message")) as [Buffer];
    expect(answer.toString()).toBe("HELLO".repeat(1000));
    if (external !== undefined) {
      socket.on("message", (bytes, from) => {
        socket.send(`${bytes.toString()} yourself`, from.port, from.address);
      });
      const script = `use IO::Socket::INET; $s = IO::Socket::INET->new(PeerAddr => "${external}:${socket.address().port}",
        Proto => "udp"); $s->send("hello"); $s->recv($m, 99); print $m`;
      expect((await container.run(["perl", "-e", script], { timeout: "10s" })).stdout).toBe("hello yourself");
    }
    socket.close();
  });

  test.skipIf(process.geteuid?.() !== 0)("asks for names whom it is told, and nobody sees that", async () => {
    const server = createSocket("udp4");
    server.bind(53, "127.0.0.77");
    await once(server, "listening");
    server.on("message", (query, from) => {
      // RFC 1035: the question comes back with one answer, whose name is a pointer to the question's.
      const end = query.indexOf(0, 12) + 5;
      const header = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
      const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 99]);
      server.send(Buffer.concat([header, query.subarray(12, end), answer]), from.port, from.address);
    });
    await using container = await startContainer({ network: "user", dns: ["127.0.0.77"] });
    expect((await container.run("cat /etc/resolv.conf")).stdout).toMatch(/^nameserver 10\.0\.2\.3\n/);
    expect((await container.run("getent ahostsv4 some.name.test")).stdout).toMatch(/^192\.0\.2\.99\s+STREAM/);
    server.close();
  });

  test.skipIf(external === undefined)("cannot have more connections than it may, and goes on", async () => {
    const { server, port } = await serve((socket) => {
      socket.on("error", () => undefined).on("end", () => socket.end());
      socket.write("hello\n");
    });
    await using container = await startContainer({ network: "user" });
    const script = `use IO::Socket::INET; for (1..400) {
      $c = IO::Socket::INET->new(PeerAddr => "${external}:${port}", Timeout => 5) or next; <$c>; push @all, $c }
      print scalar @all`;
    expect((await container.run(["perl", "-e", script])).stdout).toBe("256");
    expect(await md5From(container, `exec 3<>/dev/tcp/${external}/${port}; head -1 <&3 | md5sum`)).toBe(
      createHash("md5").update("hello\n").digest("hex"),
    );
    server.close();
  });

  test("has one device, no IPv6 on it, and needs nothing of the host's", async () => {
    const before = readdirSync("/sys/class/net");
    await using container = await startContainer({ network: "user" });
    const devices = (await container.run("ls /sys/class/net; grep eth0 /proc/net/if_inet6")).stdout;
    expect(devices.split("\n").filter((name) => !/^(ifb|tunl|sit|gre|ip6|erspan|bond|dummy)/.test(name))).toEqual([
      "eth0",
      "lo",
      "",
    ]);
    expect(readdirSync("/sys/class/net")).toEqual(before);
  });

  test.skipIf(process.geteuid?.() !== 0)("is there for a user without rights, who is refused a bridge", () => {
    const rootfs = makeRootfs();
    const NOBODY = 65_534;
    for (const path of ["", ...readdirSync(rootfs)].map((name) => join(rootfs, name))) {
      if (!["bin", "sbin", "lib", "lib64"].some((name) => path.endsWith(`/${name}`))) chownSync(path, NOBODY, NOBODY);
    }
    chmodSync(rootfs, 0o755);
    const script = `
      import { boot } from "@terrarium/container";
      const config = { rootfs: ${JSON.stringify(rootfs)}, volumes: [{ source: "/usr", target: "/usr", readonly: true }] };
      await using container = await boot({ ...config, network: "user", ports: [{ container: 8080 }] });
      const refused = await boot({ ...config, network: "bridge" }).catch((error) => error.code);
      const { stdout } = await container.run("cat /etc/resolv.conf | head -1; ls /sys/class/net | grep -v ifb");
      console.log(JSON.stringify([stdout, container.ports[0].host > 0, refused]));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
      cwd: import.meta.dirname,
      encoding: "utf8",
      uid: NOBODY,
      gid: NOBODY,
    });
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual(["nameserver 10.0.2.3\neth0\nlo\n", true, "NETWORK_REFUSED"]);
  });
});

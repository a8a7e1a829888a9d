/** Who talks to containers over a network: the host's own Perl in them, Node outside. */

import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import type { Container, ContainerOptions, Network } from "@terrarium/container";
import { startContainer } from "./containers.js";

/** Tells who asks for it, on a port of the container. */
export const SERVER = `use IO::Socket::INET; $| = 1;
  $s = IO::Socket::INET->new(LocalPort => 80, Listen => 64, ReuseAddr => 1) or die "no server: $!";
  print "ready\\n"; while ($c = $s->accept) { print $c $c->peerhost; close $c }`;

export async function startServer(network: Network, options: ContainerOptions = {}): Promise<Container> {
  const container = await startContainer({
    network,
    command: ["perl", "-e", SERVER],
    terminal: false,
    ...options,
  });
  await container.console.waitFor("ready", { timeout: "10s" });
  return container;
}

/** What a container gets from a server: its answer, or that there is none. */
export async function askFrom(container: Container, address: string, port: number): Promise<string> {
  const script = `use IO::Socket::INET; $c = IO::Socket::INET->new(PeerAddr => "${address}:${port}", Timeout => 2);
    print $c ? <$c> : "nothing"`;
  return (await container.run(["perl", "-e", script])).stdout;
}

/** The same from here. */
export async function ask(address: string, port: number): Promise<string> {
  const socket = connect({ host: address, port, timeout: 3_000 });
  socket.on("timeout", () => socket.destroy());
  let text = "";
  socket.on("data", (bytes) => (text += bytes.toString()));
  await new Promise((resolve) => socket.on("error", resolve).on("close", resolve));
  return text === "" ? "nothing" : text;
}

/** An address of this host that is not its loopback device's. */
export const external = Object.entries(networkInterfaces())
  .flatMap(([name, addresses]) => (name.startsWith("terrarium") ? [] : (addresses ?? [])))
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address;

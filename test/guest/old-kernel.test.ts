/**
 * The container runtime on Debian 12's own kernel, whose tmpfs has no attributes of users: what a container writes to "memory"
 * lies on a disk there, or it could not remove a directory of its image.
 */

import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { packCpio, type Entry } from "@terrarium/images/cpio";
import type { Machine } from "@terrarium/machine";
import { beforeAll, expect, test } from "vitest";
import { treeFromDeb } from "../../images/dist/build/deb.js";
import { readManifest } from "../../images/dist/build/manifest.js";
import { artefactDirectory } from "../../images/dist/recipe.js";
import { resolveConfig } from "../../packages/container/dist/config.js";
import { encodeFrame } from "../../packages/container/dist/frames.js";
import { processOf } from "../../packages/container/dist/oci.js";
import { bootToShell, debianCloud } from "./guests.js";

const USERS = { root: 1_900_000_000, gardener: 1_000 } as const;
type User = keyof typeof USERS;

/** What the container does; then it waits for its end. */
const PROGRAM = `exec > /shared/said 2>&1
cd /garden
rm -r bed && mkdir bed && ls -A bed && mv path way && ls way && echo all right
echo > /shared/done
sleep 1000`;

/**
 * Starts the helper as the user $1, with one container, and ends it: by the end of its input, or as $2 has it by SIGKILL. Tells
 * what the container has said, and what there has been in /tmp meanwhile, and is behind it.
 */
const SERVE = `cd /
rm -rf shared && mkdir -m 777 shared && chown -R $1:$1 image
layers() { ls tmp | sed 's/-.*//'; }
{
  cat test/$1.frame
  until [ -e shared/done ] || grep -q '"failed"' shared/frames; do usleep 50000; done
  layers > shared/meanwhile
  [ "$2" != killed ] || kill -9 $(cat shared/helper)
} | su -s /bin/sh $1 -c 'echo $$ > shared/helper; exec test/terrarium-container serve' > shared/frames
cat shared/said shared/meanwhile || cat shared/frames
for turn in $(seq 100); do [ -z "$(layers)" ] || usleep 100000; done
layers`;

/** A disk with the guest's own programs and the container's root, which becomes the root of who has \`enter\` run something. */
const PREPARE = `set -e
cd /test
insmod overlay.ko
insmod loop.ko
truncate -s 32M disk
mke2fs -F disk > /dev/null
mkdir /disk
mount -t ext4 -o loop disk /disk
cd /disk
cp -a /bin /sbin /usr .
mkdir -p dev proc sys etc test var image/dev image/proc image/bin image/garden/bed/deep image/garden/path
mkdir -m 1777 tmp var/tmp
cp /test/*.frame /test/serve.sh /test/terrarium-container test
cp /usr/bin/busybox image/bin
for name in sh ls rm mv mkdir sleep; do ln -s busybox image/bin/$name; done
touch image/garden/bed/rose image/garden/bed/deep/root image/garden/path/stone
for name in root:x:0 gardener:x:1000; do
  echo $name:\${name##*:}::/:/bin/sh >> etc/passwd
  echo $name: >> etc/group
done`;
const ENTER = `cd /disk
for name in dev proc sys; do mount --rbind /$name $name; done
mount --move . /
exec chroot . sh -c "$1"`;

/** What asks the helper for the container. */
function frameFor(user: User): Uint8Array {
  const config = resolveConfig({ rootfs: "/image" });
  const range = [{ containerID: 0, hostID: USERS[user], size: user === "root" ? 65_536 : 1 }];
  const mappings = { uidMappings: range, gidMappings: range };
  const isRoot = user === "root";
  const shared = { destination: "/shared", source: "/shared", options: isRoot ? ["bind", "ridmap"] : ["bind"] };
  const kinds = ["user", "pid", "mount", "ipc", "uts", "cgroup", "network"];
  const spec = {
    ociVersion: "1.2.0",
    process: processOf(config, ["/bin/sh", "-c", PROGRAM], { terminal: false }),
    root: { path: config.rootfs },
    mounts: [{ destination: "/proc", type: "proc", source: "proc" }, isRoot ? { ...shared, ...mappings } : shared],
    linux: { namespaces: kinds.map((type) => ({ type })), ...mappings },
  };
  const rest = { writable: null, saved: null, defaultProtection: true, init: false, network: config.network };
  return encodeFrame({ type: "boot", process: 1, spec, idmapped: isRoot, overlay: true, ...rest });
}

/** The guest's initramfs, and behind it what is tested, with two modules of its kernel. */
async function initramfs(): Promise<Uint8Array> {
  const kernel = (await readManifest(path(artefactDirectory(debianCloud.name))))?.packages["linux-image-cloud-amd64"];
  const deb = path(`.cache/images/packages/${kernel?.sha256 ?? ""}.deb`);
  const modules = await treeFromDeb(deb, (member) => /\/(?:overlay|loop)\.ko$/.test(member));
  const files = {
    "terrarium-container": await readFile(path("packages/container/pkg/terrarium-container")),
    "serve.sh": Buffer.from(SERVE),
    "root.frame": frameFor("root"),
    "gardener.frame": frameFor("gardener"),
  };
  const entries = [
    { type: "directory" as const, path: "test" },
    ...modules.map((module) => ({ ...module, path: `test/${basename(module.path)}` })),
    ...Object.entries(files).map(([name, data]): Entry => ({ type: "file", path: `test/${name}`, mode: 0o755, data })),
  ];
  const own = await readFile(fileURLToPath(debianCloud.initrd ?? ""));
  // An archive that is not compressed begins at a multiple of four.
  return Buffer.concat([own, Buffer.alloc(-own.length & 3), packCpio(entries)]);
}

function path(relative: string): string {
  return fileURLToPath(new URL(`../../${relative}`, import.meta.url));
}

let machine: Machine;
beforeAll(async () => {
  machine = await bootToShell({ ...debianCloud, initrd: await initramfs() }, { decompressOnHost: true });
  expect(await machine.run(PREPARE)).toMatchObject({ exitCode: 0 });
  return () => machine.stop();
});

async function enter(command: string): Promise<string> {
  return (await machine.run(["unshare", "-m", "sh", "-c", ENTER, "sh", command])).stdout;
}

test.each(["root", "gardener"] as const)("%s's container removes, moves and makes directories anew", async (user) => {
  expect(await enter(`sh test/serve.sh ${user} let-go`)).toBe("stone\nall right\nterrarium\n");
});

test.each(["root", "gardener"] as const)(
  "%s's layer ends with the container when the helper is killed",
  async (user) => {
    expect(await enter(`sh test/serve.sh ${user} killed`)).toBe("stone\nall right\nterrarium\n");
  },
);

test("where there is no disk, who has a layer in memory is told so, and of what would help", async () => {
  const refused = await enter(
    "mount -t tmpfs tmpfs tmp; mount -t tmpfs tmpfs var/tmp; chmod 1777 tmp var/tmp; sh test/serve.sh gardener let-go",
  );
  expect(refused).toMatch(/UNSUPPORTED.*tmpfs.*\/tmp: .*\/var\/tmp: .*use Linux 6\.6/);
});

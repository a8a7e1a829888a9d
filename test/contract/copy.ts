/** Files and trees in and out, in every kind of guest. */

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { copyFromGuest, copyToGuest } from "@terrarium/container";
import type { Guest } from "@terrarium/machine";
import { beforeAll, describe, expect, test } from "vitest";
import { archive, makeDirectory, type Member } from "../container/images.js";

/** Registers the tests; `bootGuest` gives a guest with a shell and the usual small programs. */
export function copyContract(bootGuest: () => Promise<Guest>): void {
  describe("what is copied", () => {
    let guest: Guest;
    beforeAll(async () => {
      guest = await bootGuest();
      expect(guest.capabilities.copy).toBe(true);
      await guest.run("mkdir -p /tmp");
      return () => guest.stop();
    });

    const said = async (command: string): Promise<string> => (await guest.run(command)).stdout;

    test("is a file, byte by byte, with the mode that was asked for", async () => {
      const bytes = new Uint8Array(150_000).map((_, index) => index % 251);
      await guest.copyIn("/tmp/in", bytes, { mode: 0o750 });
      expect(await said("stat -c '%s %a' /tmp/in")).toBe("150000 750\n");
      expect(Buffer.compare(await guest.copyOut("/tmp/in"), bytes)).toBe(0);
      await guest.copyIn("/tmp/in", "shorter");
      expect(await said("cat /tmp/in")).toBe("shorter");
    });

    test("is refused by name where there is nothing, or nothing of that kind", async () => {
      const refused = { code: "PATH_UNUSABLE", details: { path: "/no/such" } };
      await expect(guest.copyOut("/no/such")).rejects.toMatchObject(refused);
      await expect(guest.copyIn("/no/such", "")).rejects.toMatchObject(refused);
      await expect(guest.unpack("/no/such", await archive())).rejects.toMatchObject(refused);
      await expect(buffer(guest.pack("/no/such"))).rejects.toMatchObject(refused);
      await expect(guest.copyOut("/tmp")).rejects.toMatchObject({ code: "PATH_UNUSABLE" });
      await expect(guest.copyOut("tmp")).rejects.toMatchObject({ code: "OPTION_INVALID" });
      // Nobody writes to it: who waited for that would wait for ever.
      await guest.run("mkfifo /tmp/fifo");
      await expect(guest.copyOut("/tmp/fifo")).rejects.toMatchObject({ code: "PATH_UNUSABLE" });
      await expect(guest.copyIn("/tmp/fifo", "x")).rejects.toMatchObject({ code: "PATH_UNUSABLE" });
    });

    test("is a tree that another program has packed, or that another program unpacks", async () => {
      const long = "n".repeat(180);
      const packed = await archive(
        [{ name: "grown", type: "directory", mode: 0o500 }],
        [{ name: "grown/a", mode: 0o640, mtime: new Date(86_400_000) }, "a\n"],
        [{ name: "grown/b", type: "link", linkname: "grown/a" }],
        [{ name: "grown/c", type: "symlink", linkname: "../elsewhere" }],
        [{ name: `grown/${long}` }, "long\n"],
      );
      await guest.unpack("/tmp", packed);
      expect(await said("stat -c '%a %h %Y' /tmp/grown/a; stat -c %a /tmp/grown; readlink /tmp/grown/c")).toBe(
        "640 2 86400\n500\n../elsewhere\n",
      );
      expect(await said(`cat /tmp/grown/${long}`)).toBe("long\n");
      // Again, over what is there: a file in the place of a link that leads away is the file itself.
      await guest.run("chmod 700 /tmp/grown; rm /tmp/grown/a; ln -s /tmp/in /tmp/grown/a; echo kept > /tmp/in");
      await guest.unpack("/tmp", packed);
      expect(await said("cat /tmp/grown/a /tmp/in")).toBe("a\nkept\n");

      const directory = makeDirectory();
      const { status, stderr } = spawnSync("tar", ["xf", "-", "-C", directory], {
        input: await buffer(guest.pack("/tmp/grown", { name: "other" })),
        encoding: "utf8",
      });
      expect([status, stderr]).toEqual([0, ""]);
      const { mode, nlink, mtimeMs } = statSync(join(directory, "other/a"));
      expect([mode & 0o777, nlink, mtimeMs]).toEqual([0o640, 2, 86_400_000]);
      expect(readlinkSync(join(directory, "other/c"))).toBe("../elsewhere");
      expect(readFileSync(join(directory, "other", long), "utf8")).toBe("long\n");
    });

    test("is what a link leads to, or keeps its owner, where that is asked for", async () => {
      await guest.run("mkdir /tmp/far; echo fruit > /tmp/far/plum; ln -s far/plum /tmp/way; ln -s far /tmp/into");
      const unpacked = async (path: string, name?: string): Promise<string> => {
        const directory = makeDirectory();
        const options = name === undefined ? { followLink: true } : { followLink: true, name };
        spawnSync("tar", ["xf", "-", "-C", directory], { input: await buffer(guest.pack(path, options)) });
        return directory;
      };
      expect(readFileSync(join(await unpacked("/tmp/way"), "way"), "utf8")).toBe("fruit\n");
      expect(readFileSync(join(await unpacked("/tmp/into", "other"), "other/plum"), "utf8")).toBe("fruit\n");
      await guest.run("ln -s nowhere /tmp/lost");
      await expect(buffer(guest.pack("/tmp/lost", { followLink: true }))).rejects.toMatchObject({
        code: "PATH_UNUSABLE",
      });
      const owned = await archive([{ name: "owned", uid: 1234, gid: 4321 }, "x"]);
      await guest.unpack("/tmp", owned);
      expect(await said("stat -c '%u %g' /tmp/owned")).toBe(await said("echo $(id -u) $(id -g)"));
      const given = guest.unpack("/tmp", owned, { keepOwners: true });
      // Of a container of who has one id alone nobody else can be an owner.
      const isRange = (await guest.run("chown 1234:4321 /tmp/far")).exitCode === 0;
      if (isRange) {
        await given;
        expect(await said("stat -c '%u %g' /tmp/owned")).toBe("1234 4321\n");
      } else await expect(given).rejects.toMatchObject({ code: "ARCHIVE_REFUSED" });
    });

    test.each<[string, Member[]]>([
      ["leads upwards", [[{ name: "../../../tmp/escaped" }, "x"]]],
      ["is absolute", [[{ name: "/tmp/escaped" }, "x"]]],
      ["goes through a link", [[{ name: "in/way/escaped" }, "x"]]],
      ["takes a link for a directory", [[{ name: "in/way", type: "directory" }]]],
      ["links to what is outside", [[{ name: "in/passwd", type: "link", linkname: "in/way/passwd" }]]],
      ["is a file where a directory is", [[{ name: "in" }, "x"]]],
      ["is a device", [[{ name: "null", type: "character-device", devmajor: 1, devminor: 3 }]]],
    ])("is refused where it %s", async (_, members) => {
      await guest.run("mkdir -p /tmp/lot/in; ln -sfn /tmp /tmp/lot/in/way");
      await expect(guest.unpack("/tmp/lot", await archive(...members))).rejects.toMatchObject({
        code: "ARCHIVE_REFUSED",
      });
      expect(await said("ls /tmp/escaped /tmp/lot/in")).toBe("/tmp/lot/in:\nway\n");
    });

    test("is a directory of this host's, there and back, by the rules of cp", async () => {
      const host = makeDirectory();
      mkdirSync(join(host, "site/deep"), { recursive: true });
      writeFileSync(join(host, "site/deep/page"), "page\n");
      symlinkSync("deep/page", join(host, "site/index"));
      await guest.run("mkdir /tmp/www");
      await copyToGuest(guest, join(host, "site"), "/tmp/www");
      await copyToGuest(guest, join(host, "site"), "/tmp/www/new");
      await copyToGuest(guest, `${join(host, "site")}/.`, "/tmp/www");
      await copyToGuest(guest, join(host, "site/deep/page"), "/tmp/www/renamed");
      expect(await said("cd /tmp/www; cat site/index new/deep/page index renamed; readlink index; ls")).toBe(
        "page\npage\npage\npage\ndeep/page\ndeep\nindex\nnew\nrenamed\nsite\n",
      );
      await expect(copyToGuest(guest, join(host, "site"), "/no/such/place")).rejects.toMatchObject({
        code: "PATH_UNUSABLE",
      });
      await expect(copyToGuest(guest, join(host, "site/index"), "/tmp/none/")).rejects.toMatchObject({
        code: "PATH_UNUSABLE",
      });

      const back = makeDirectory();
      await guest.run("chmod 6755 /tmp/www/renamed");
      await copyFromGuest(guest, "/tmp/www", back);
      await copyFromGuest(guest, "/tmp/www", join(back, "called"));
      await copyFromGuest(guest, "/tmp/www/.", join(back, "contents"));
      await copyFromGuest(guest, "/tmp/www/renamed", join(back, "file"));
      expect(readdirSync(back)).toEqual(["called", "contents", "file", "www"]);
      for (const name of ["www", "called", "contents"]) {
        expect(readdirSync(join(back, name))).toEqual(["deep", "index", "new", "renamed", "site"]);
      }
      expect(readFileSync(join(back, "contents/site/index"), "utf8")).toBe("page\n");
      // No program of the guest's runs here as its owner.
      expect(statSync(join(back, "file")).mode & 0o7777).toBe(0o755);
      expect(statSync(join(back, "file")).uid).toBe(process.geteuid?.());
    });

    test("leads nowhere on this host, whatever the guest has put there", async () => {
      const [host, outside] = [makeDirectory(), makeDirectory()];
      await guest.run(`mkdir -p /tmp/trap/a; ln -s ${outside} /tmp/trap/a/way`);
      await copyFromGuest(guest, "/tmp/trap", host);
      // What was a link is a directory now: what is in it must not go where the link, which is here, leads.
      await guest.run("rm /tmp/trap/a/way; mkdir /tmp/trap/a/way; echo x > /tmp/trap/a/way/escaped");
      await expect(copyFromGuest(guest, "/tmp/trap", host)).rejects.toMatchObject({ code: "ARCHIVE_REFUSED" });
      expect(readdirSync(outside)).toEqual([]);
    });

    test("waits for whoever takes it, and is given up with that", async () => {
      await guest.run("mkdir /tmp/big; head -c 3000000 /dev/zero > /tmp/big/zeros");
      let bytes = 0;
      for await (const chunk of guest.pack("/tmp/big")) {
        bytes += chunk.length;
        if (bytes < 100_000) await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(bytes).toBeGreaterThan(3_000_000);
      for await (const chunk of guest.pack("/tmp/big")) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      expect(await said("rm -r /tmp/big; echo on")).toBe("on\n");
    });
  });
}

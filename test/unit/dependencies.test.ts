/** What a package needs, found in a small index of our own. */

import { expect, test } from "vitest";
import type { PackageArchive } from "../../images/build/archive.js";
import { withDependencies } from "../../images/build/dependencies.js";
import { findProviders, findStanza } from "../../images/build/index-file.js";

function stanza(name: string, relations = ""): string {
  const fields = `Version: 1\nArchitecture: amd64\nFilename: pool/${name}.deb\nSize: 1\nSHA256: ${"0".repeat(64)}\n`;
  return `Package: ${name}\n${fields}${relations}`;
}

function archive(...stanzas: string[]): PackageArchive {
  const index = stanzas.join("\n");
  return {
    newest: (name) => Promise.resolve(findStanza(index, name)),
    providers: (name) => Promise.resolve(findProviders(index, name)),
    download: () => Promise.resolve(false),
  };
}

test("a package brings what it and its dependencies depend on, each once", async () => {
  const packages = archive(
    stanza("shell", "Depends: libc (>= 2.34), lines (= 1), lines-common:any\n"),
    stanza("lines", "Pre-Depends: libc\nDepends: lines-common\n"),
    stanza("lines-common"),
    stanza("libc", "Depends: libgcc\n"),
    // A circle, as libc6 and libgcc-s1 are one.
    stanza("libgcc", "Depends: libc (>= 2)\n"),
    stanza("unrelated"),
  );
  const found = await withDependencies(packages, ["shell"], "amd64");
  expect(found.toSorted()).toEqual(["libc", "libgcc", "lines", "lines-common", "shell"]);
});

test("of alternatives the first that exists is taken, and none beside one that is there anyway", async () => {
  const packages = archive(
    stanza("mail", "Depends: gone (>= 1) | postman | pigeon\n"),
    stanza("postman"),
    stanza("pigeon"),
    stanza("loft", "Depends: postman | pigeon\n"),
  );
  expect(await withDependencies(packages, ["mail"], "amd64")).toEqual(["mail", "postman"]);
  expect(await withDependencies(packages, ["pigeon", "loft"], "amd64")).toEqual(["pigeon", "loft"]);
});

test("a virtual package is one that provides it, first of all one that is there already", async () => {
  const packages = archive(
    stanza("script", "Depends: awk\n"),
    stanza("mawk", "Provides: awk\n"),
    stanza("gawk", "Provides: awk (= 5), gawk-api\n"),
    // Its name holds the one looked for.
    stanza("hawk", "Provides: hawking\n"),
  );
  expect(await withDependencies(packages, ["script"], "amd64")).toEqual(["script", "mawk"]);
  expect(await withDependencies(packages, ["gawk", "script"], "amd64")).toEqual(["gawk", "script"]);
});

test("what nothing provides is an error that names it", async () => {
  const packages = archive(stanza("a", "Depends: b | c\n"));
  await expect(withDependencies(packages, ["a"], "amd64")).rejects.toThrow(/no b or c for amd64/);
});

/** What packages need to run: they themselves and, over and over, what they depend on (Debian Policy, chapter 7). */
import type { Architecture } from "../recipe.js";
import type { PackageArchive } from "./archive.js";
import type { Stanza } from "./index-file.js";

/**
 * Names of the real packages behind `names` and all they depend on. Of alternatives the first that exists is taken, but
 * none where one of them has been taken already. Version conditions are not looked at: all packages come out of one
 * release, in which they hold.
 */
export async function withDependencies(
  archive: PackageArchive,
  names: readonly string[],
  architecture: Architecture,
): Promise<string[]> {
  const taken: string[] = [];
  const satisfied = new Set<string>();
  const clauses: (readonly string[])[] = names.map((name) => [name]);
  // Grows while it is walked.
  for (const alternatives of clauses) {
    if (alternatives.some((name) => satisfied.has(name))) continue;
    const stanza = await firstThatExists(archive, alternatives, architecture);
    taken.push(stanza.package);
    for (const name of [stanza.package, ...stanza.provides]) satisfied.add(name);
    clauses.push(...stanza.depends);
  }
  return taken;
}

async function firstThatExists(
  archive: PackageArchive,
  alternatives: readonly string[],
  architecture: Architecture,
): Promise<Stanza> {
  for (const name of alternatives) {
    const real = await archive.newest(name, architecture);
    if (real !== undefined) return real;
    for (const provider of await archive.providers(name, architecture)) {
      const stanza = await archive.newest(provider, architecture);
      if (stanza !== undefined) return stanza;
    }
  }
  throw new Error(`the package archive has no ${alternatives.join(" or ")} for ${architecture}`);
}

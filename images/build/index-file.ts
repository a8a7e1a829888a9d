/** Debian package index stanzas: the parts of deb-control(5) a recipe needs. */

/** One concrete version of one package. */
export interface PackageVersion {
  readonly package: string;
  readonly version: string;
  readonly architecture: string;
  /** Path of the .deb below the archive's root. */
  readonly filename: string;
  /** Size of the .deb in bytes. */
  readonly size: number;
  /** SHA-256 of the .deb in lower-case hex. */
  readonly sha256: string;
}

/** A stanza of a Packages file. */
export interface Stanza extends PackageVersion {
  /** What it depends on, before its installation or after: each time the names that will do, without version conditions. */
  readonly depends: readonly (readonly string[])[];
  /** Virtual packages it stands for. */
  readonly provides: readonly string[];
}

/** Parses one stanza; undefined when a field is missing or malformed, as in stanzas of installed packages. */
export function parseStanza(text: string): Stanza | undefined {
  const field = (name: string): string | undefined => new RegExp(`^${name}: *(.*)$`, "m").exec(text)?.[1];
  const name = field("Package");
  const version = field("Version");
  const architecture = field("Architecture");
  const filename = field("Filename");
  const size = Number(field("Size"));
  const sha256 = field("SHA256");
  if (name === undefined || version === undefined || architecture === undefined || filename === undefined)
    return undefined;
  if (!Number.isSafeInteger(size) || sha256 === undefined || !/^[0-9a-f]{64}$/.test(sha256)) return undefined;
  const depends = ["Pre-Depends", "Depends"].flatMap((relation) => clauses(field(relation)));
  const provides = clauses(field("Provides")).flat();
  return { package: name, version, architecture, filename, size, sha256, depends, provides };
}

/** `a (>= 1) | b:any, c` is `[["a", "b"], ["c"]]`. */
function clauses(relation = ""): string[][] {
  const present = relation.split(",").filter((clause) => clause.trim() !== "");
  return present.map((clause) => clause.split("|").map((name) => /^\s*([^\s(:]*)/.exec(name)?.[1] ?? ""));
}

/** The first stanza of `index` about package `name`. */
export function findStanza(index: string, name: string): Stanza | undefined {
  const at = `\n${index}`.indexOf(`\nPackage: ${name}\n`);
  if (at < 0) return undefined;
  const end = index.indexOf("\n\n", at);
  return parseStanza(index.slice(at, end < 0 ? undefined : end));
}

/** Names of the packages in `index` that provide `name`. */
export function findProviders(index: string, name: string): string[] {
  const candidates = index.split("\n\n").filter((text) => text.includes("\nProvides:") && text.includes(name));
  const stanzas = candidates.map(parseStanza).filter((stanza) => stanza !== undefined);
  return stanzas.filter(({ provides }) => provides.includes(name)).map((stanza) => stanza.package);
}

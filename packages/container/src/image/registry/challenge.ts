/** The header in which a server says how it wants to know who asks (RFC 9110, 11.6.1). */

/** One way to say who asks. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The challenge in `header`; the first of several that we know. */
export function challengeOf(header: string): Challenge | undefined {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const part = /([A-Za-z][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([A-Za-z][\w-]*)(?=\s+[A-Za-z]|\s*$|\s*,)/g;
  for (const [, name, quoted, bare, scheme] of header.slice(0, 8_192).matchAll(part)) {
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: {} });
    const parameters = challenges.at(-1)?.parameters;
    if (name !== undefined && parameters !== undefined) {
      parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, "$1") ?? bare ?? "";
    }
  }
  return challenges.find(({ scheme }) => scheme === "bearer") ?? challenges.find(({ scheme }) => scheme === "basic");
}

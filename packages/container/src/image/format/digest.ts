/** Names of blobs: what their contents hash to (OCI image specification, descriptor.md, "Digests"). */

import { invalid } from "./json.js";

/** The algorithms the specification registers. */
export type Algorithm = "sha256" | "sha512";

/** A digest such as `sha256:9f86d0…`. */
export type Digest = `${Algorithm}:${string}`;

const FORM = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Whether `text` is a digest. */
export function isDigest(text: string): text is Digest {
  return FORM.test(text);
}

/**
 * `text` as a digest; `document` says in the error where it stands.
 * @throws MachineError `IMAGE_INVALID`
 */
export function parseDigest(text: string, document: string): Digest {
  if (isDigest(text)) return text;
  throw invalid(document, `${JSON.stringify(text.slice(0, 100))} is no digest of sha256 or sha512`);
}

/** Algorithm and hexadecimal digits. */
export function partsOf(digest: Digest): { readonly algorithm: Algorithm; readonly hex: string } {
  const [algorithm = "", hex = ""] = digest.split(":");
  return { algorithm: algorithm as Algorithm, hex };
}

/** Names of images: `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`, and places of others (`oci:DIRECTORY:TAG`). */

import { MachineError } from "@terrarium/machine";
import { isDigest, type Digest } from "./digest.js";

const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
const MAX_NAME_LENGTH = 255;

/** An image's name, taken apart. */
export interface Reference {
  /** Host and port of the registry; undefined for an image that only the store has. */
  readonly registry?: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest?: Digest;
}

/** Forms in which an image lies outside of a store. */
export const TRANSPORTS = ["oci", "oci-archive", "docker-archive"] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** An image outside of a store. */
export interface Place {
  readonly transport: Transport;
  /** Path of the directory or archive. */
  readonly path: string;
  /** Its name there; undefined where there is only one. */
  readonly name?: string;
}

/** The place in `text`, or undefined where it is the name of an image. */
export function parsePlace(text: string): Place | undefined {
  const transport = TRANSPORTS.find((candidate) => text.startsWith(`${candidate}:`));
  if (transport === undefined) return undefined;
  const rest = text.slice(transport.length + 1);
  const colon = rest.indexOf(":");
  const [path, name] = colon < 0 ? [rest, ""] : [rest.slice(0, colon), rest.slice(colon + 1)];
  if (path === "") throw wrong(text, "it names no path");
  return { transport, path, ...(name === "" ? {} : { name }) };
}

/** @throws MachineError `REFERENCE_INVALID` */
export function parseReference(text: string): Reference {
  const [name = "", digest, ...more] = text.split("@");
  if (more.length > 0 || (digest !== undefined && !isDigest(digest)))
    throw wrong(text, "what is behind @ is no digest");
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(slash, 0));
  // As everybody has it: a first part is a host where it could be no repository, or is this one.
  const hasRegistry = /[.:]/.test(first) || first === "localhost";
  if (hasRegistry && !HOST.test(first)) throw wrong(text, "its registry is no host");
  const rest = hasRegistry ? name.slice(slash + 1) : name;
  const colon = rest.lastIndexOf(":");
  const [repository, tag] = colon < 0 ? [rest, "latest"] : [rest.slice(0, colon), rest.slice(colon + 1)];
  if (!REPOSITORY.test(repository) || name.length > MAX_NAME_LENGTH) {
    throw wrong(text, "a name has lower-case letters, digits and single . _ - / between them");
  }
  if (!TAG.test(tag)) throw wrong(text, "a tag has up to 128 letters, digits, . _ and -");
  return {
    ...(hasRegistry ? { registry: first } : {}),
    repository,
    tag,
    ...(digest === undefined ? {} : { digest }),
  };
}

/** Whether `text` says from where an image is to be fetched. */
export function hasRegistry(text: string): boolean {
  return parsePlace(text) === undefined && parseReference(text).registry !== undefined;
}

/** The whole name, by which a store knows an image. */
export function formatReference({ registry, repository, tag, digest }: Reference): string {
  const name = registry === undefined ? repository : `${registry}/${repository}`;
  return digest === undefined ? `${name}:${tag}` : `${name}@${digest}`;
}

/** The error for what names no image. */
export function wrong(reference: string, reason: string): MachineError<"REFERENCE_INVALID"> {
  const shown = reference.slice(0, 300);
  const message = `${JSON.stringify(shown)} does not name an image: ${reason}.`;
  return new MachineError("REFERENCE_INVALID", message, { reference: shown, reason });
}

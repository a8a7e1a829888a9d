/** Reading JSON that strangers have written: bounded in size and depth, and asked for its parts by name. */

import { MachineError } from "@terrarium/machine";

/** What registries and other tools allow a manifest to be. */
export const MAX_DOCUMENT_BYTES = 4 << 20;
/** Documents of images are five deep. */
const MAX_DEPTH = 32;

/** A document of an image that breaks a rule. */
export function invalid(document: string, reason: string): MachineError<"IMAGE_INVALID"> {
  return new MachineError("IMAGE_INVALID", `The ${document} is not valid: ${reason}.`, { document, reason });
}

/** Parses the JSON in `bytes`; `document` says in errors what it is. */
export function parseJson(bytes: Uint8Array, document: string): Fields {
  if (bytes.length > MAX_DOCUMENT_BYTES) throw invalid(document, `it has over ${MAX_DOCUMENT_BYTES} bytes`);
  if (depthOf(bytes) > MAX_DEPTH) throw invalid(document, `it is over ${MAX_DEPTH} levels deep`);
  try {
    return new Fields(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)), document);
  } catch (error) {
    if (error instanceof MachineError) throw error;
    throw invalid(document, "it is no JSON");
  }
}

/** How deep brackets nest in JSON, outside of strings. */
function depthOf(bytes: Uint8Array): number {
  let [depth, deepest, inString] = [0, 0, false];
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (inString) {
      if (byte === 0x5c) at += 1;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x7b || byte === 0x5b) deepest = Math.max(deepest, ++depth);
    else if (byte === 0x7d || byte === 0x5d) depth -= 1;
  }
  return deepest;
}

/** An object of a document, whose fields have the type they are asked for, or are an error that names them. */
export class Fields {
  readonly document: string;
  readonly #value: Readonly<Record<string, unknown>>;

  constructor(value: unknown, document: string) {
    this.document = document;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw invalid(document, "it is no object");
    }
    this.#value = value as Readonly<Record<string, unknown>>;
  }

  /** A text; undefined where there is none. */
  text(name: string): string | undefined {
    const value = this.#get(name);
    if (value === undefined || typeof value === "string") return value;
    throw invalid(this.document, `${name} is no text`);
  }

  /** A text that must be there. */
  needText(name: string): string {
    return this.text(name) ?? this.#missing(name);
  }

  /** A size in bytes that must be there. */
  needSize(name: string): number {
    const value = this.#get(name) ?? this.#missing(name);
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
    throw invalid(this.document, `${name} is no size`);
  }

  /** Texts; none where the field is not there. */
  texts(name: string): string[] {
    return this.#list(name).map((value) => {
      if (typeof value === "string") return value;
      throw invalid(this.document, `${name} holds what is no text`);
    });
  }

  /** Objects; none where the field is not there. */
  objects(name: string): Fields[] {
    return this.#list(name).map((value, index) => new Fields(value, `${this.document}, ${name}[${index}]`));
  }

  /** An object; undefined where there is none. */
  object(name: string): Fields | undefined {
    const value = this.#get(name);
    return value === undefined ? undefined : new Fields(value, `${this.document}, ${name}`);
  }

  /** An object that must be there. */
  needObject(name: string): Fields {
    return this.object(name) ?? this.#missing(name);
  }

  /** The texts of an object by name. */
  textsByName(name: string): Record<string, string> {
    const object = this.object(name);
    return Object.fromEntries(object?.names().map((key) => [key, object.needText(key)]) ?? []);
  }

  /** Whether a field is true. */
  flag(name: string): boolean {
    return this.#get(name) === true;
  }

  /** Names of all fields. */
  names(): string[] {
    return Object.keys(this.#value);
  }

  #get(name: string): unknown {
    // JSON of Go's writers has null for what is empty.
    return Object.hasOwn(this.#value, name) ? (this.#value[name] ?? undefined) : undefined;
  }

  #list(name: string): readonly unknown[] {
    const value = this.#get(name) ?? [];
    if (Array.isArray(value)) return value;
    throw invalid(this.document, `${name} is no list`);
  }

  #missing(name: string): never {
    throw invalid(this.document, `${name} is missing`);
  }
}

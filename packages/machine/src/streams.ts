/** Standard streams of a process in a guest that are the caller's own. */

import { unsupported } from "./errors.js";
import type { RunOptions } from "./guest.js";

/** An open file, pipe or socket of this process: its number, or what has one, such as a `FileHandle` or `process.stdout`. */
export type Descriptor = number | { readonly fd: number };

/**
 * Streams that the process gets as they are: nothing goes through this process, and whoever is at the other end sets the
 * pace. They stay open here, and are made to wait (`O_NONBLOCK` is cleared), as programs expect. Containers alone have them.
 */
export interface StandardStreams {
  readonly stdin?: Descriptor;
  readonly stdout?: Descriptor;
  readonly stderr?: Descriptor;
}

/** How a command is run whose streams are all carried by us. */
export type CarriedOptions = Omit<RunOptions, keyof StandardStreams> & { readonly stdin?: string | Uint8Array };

/** Whether what a command reads is a stream of the caller's, not text or bytes. */
function isDescriptor(stdin: RunOptions["stdin"]): stdin is Descriptor {
  return stdin !== undefined && typeof stdin !== "string" && !(stdin instanceof Uint8Array);
}

/** The caller's own streams among `options`, and the rest of them. */
export function splitStreams({ stdin, stdout, stderr, ...rest }: RunOptions): [StandardStreams, CarriedOptions] {
  const own = { ...(stdout === undefined ? {} : { stdout }), ...(stderr === undefined ? {} : { stderr }) };
  if (isDescriptor(stdin)) return [{ ...own, stdin }, rest];
  return [own, stdin === undefined ? rest : { ...rest, stdin }];
}

/**
 * The options where none of the streams may be the caller's own.
 * @throws MachineError `UNSUPPORTED`
 */
export function carriedAlone(options: RunOptions): CarriedOptions {
  const [own, carried] = splitStreams(options);
  const [name] = Object.keys(own);
  if (name === undefined) return carried;
  throw unsupported(
    `a descriptor as the ${name} of a command in a machine`,
    "leave it out, or run the command in a container",
  );
}

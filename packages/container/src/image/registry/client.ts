/** Talking to a registry: requests that are tried again, and that say who asks where that is wanted (OCI distribution
 * specification; RFC 6750 and RFC 7617 for the two kinds of authorization). */

import { MachineError } from "@terrarium/machine";
import { collect } from "../blobs.js";
import { MAX_DOCUMENT_BYTES, parseJson } from "../format/json.js";
import { challengeOf, type Challenge } from "./challenge.js";

/** Who asks. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** How a registry is talked to. */
export interface ClientOptions {
  readonly credentials?: Credentials;
  /** Whether to use HTTP where HTTPS is usual; this machine itself is always asked by HTTP. */
  readonly insecure?: boolean;
  readonly signal?: AbortSignal;
}

/** A request. */
export interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Makes the body, anew for each try. */
  readonly body?: () => AsyncIterable<Uint8Array> | Uint8Array;
  /** Statuses besides 2xx that are answers and no errors. */
  readonly accept?: readonly number[];
  /** Whether only the caller can try again, from further back. */
  readonly once?: boolean;
}

const TRIES = 5;
const FIRST_DELAY_MS = 200;
/** A registry that says nothing for this long will not. */
const SILENCE_MS = 60_000;
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/;

/** One registry. */
export class RegistryClient {
  readonly registry: string;
  readonly #base: URL;
  readonly #options: ClientOptions;
  #authorization: string | undefined;

  constructor(registry: string, options: ClientOptions) {
    this.registry = registry;
    this.#options = options;
    const scheme = options.insecure === true || LOOPBACK.test(registry) ? "http" : "https";
    this.#base = new URL(`${scheme}://${registry}/v2/`);
  }

  /**
   * Sends a request to a path below `/v2/`, or to a whole URL that the registry gave.
   * @throws MachineError `REGISTRY_UNREACHABLE`, `REGISTRY_DENIED`, `REGISTRY_REFUSED`, `ABORTED`
   */
  async call(path: string | URL, call: Call = {}): Promise<Response> {
    const once = (): Promise<Response> => this.#callOnce(new URL(path, this.#base), call);
    return await (call.once === true ? once() : this.retried(once));
  }

  /** Tries `work` again while it fails for reasons that may pass. */
  async retried<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (attempt === TRIES || !mayPass(error)) throw error;
        await this.#sleep(FIRST_DELAY_MS * 2 ** (attempt - 1));
      }
    }
  }

  /** The bytes of an answer; silence of the registry is an error. */
  async *chunks(response: Response): AsyncGenerator<Uint8Array, void> {
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    try {
      for (;;) {
        const silence = Promise.withResolvers<never>();
        const timer = setTimeout(() => {
          silence.reject(this.#unreachable(`it has said nothing for ${SILENCE_MS / 1000} s`));
        }, SILENCE_MS);
        const next = await Promise.race([reader.read(), silence.promise])
          .catch((error: unknown) => {
            throw this.#failure(error);
          })
          .finally(() => {
            clearTimeout(timer);
          });
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await reader.cancel().catch(() => undefined);
    }
  }

  /** An answer that is a document. */
  async document(response: Response): Promise<Uint8Array> {
    const chunks = this.chunks(response);
    async function* bounded(): AsyncGenerator<Uint8Array, void> {
      let length = 0;
      for await (const chunk of chunks) {
        length += chunk.length;
        // One byte more than may be is enough for whoever parses it to say so.
        yield length > MAX_DOCUMENT_BYTES ? chunk.subarray(0, MAX_DOCUMENT_BYTES + 1) : chunk;
        if (length > MAX_DOCUMENT_BYTES) return;
      }
    }
    return await collect(bounded());
  }

  async #callOnce(url: URL, call: Call): Promise<Response> {
    let response = await this.#send(url, call);
    if (response.status === 401) {
      await this.#authorize(response);
      response = await this.#send(url, call);
    }
    if (response.ok || call.accept?.includes(response.status) === true) return response;
    throw await this.#refusal(response);
  }

  async #send(url: URL, { method = "GET", headers = {}, body }: Call): Promise<Response> {
    const bytes = body?.();
    // What the registry lets somebody else store is not told who asks.
    const known = url.origin === this.#base.origin ? this.#authorization : undefined;
    const { signal } = this.#options;
    try {
      return await fetch(url, {
        method,
        headers: { ...headers, ...(known === undefined ? {} : { authorization: known }) },
        ...(signal === undefined ? {} : { signal }),
        ...(bytes === undefined ? {} : { body: bytes instanceof Uint8Array ? bytes : ReadableStream.from(bytes) }),
        ...(bytes === undefined ? {} : { duplex: "half" }),
      });
    } catch (error) {
      throw this.#failure(error);
    }
  }

  async #authorize(response: Response): Promise<void> {
    const challenge = challengeOf(response.headers.get("www-authenticate") ?? "");
    await response.body?.cancel();
    const { credentials } = this.#options;
    const basic =
      credentials === undefined
        ? undefined
        : `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}`;
    if (challenge?.scheme === "bearer") {
      this.#authorization = `Bearer ${await this.#token(challenge, basic)}`;
    } else if (challenge?.scheme === "basic" && basic !== undefined && this.#authorization !== basic) {
      this.#authorization = basic;
    } else {
      throw this.#denied(credentials === undefined ? "it wants credentials" : "it does not accept these credentials");
    }
  }

  /** Asks the registry's token server (Docker Registry v2 authentication, "Requesting a Token"). */
  async #token({ parameters }: Challenge, basic: string | undefined): Promise<string> {
    const { realm, service, scope } = parameters;
    const url = URL.parse(realm ?? "");
    if (url === null || !["https:", this.#base.protocol].includes(url.protocol)) {
      throw this.#denied("it names no place to get a token from");
    }
    if (service !== undefined) url.searchParams.set("service", service);
    for (const one of scope?.split(" ") ?? []) url.searchParams.append("scope", one);
    const headers: Record<string, string> = basic === undefined ? {} : { authorization: basic };
    const response = await fetch(url, { headers }).catch((error: unknown) => {
      throw this.#failure(error);
    });
    if (response.status === 401 || response.status === 403)
      throw this.#denied("its token server does not accept these credentials");
    if (!response.ok) throw await this.#refusal(response);
    const fields = parseJson(await this.document(response), "token of the registry");
    const token = fields.text("token") ?? fields.text("access_token");
    if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) throw this.#denied("its token server gave no token");
    return token;
  }

  async #refusal(response: Response): Promise<MachineError> {
    const { status } = response;
    const reason = reasonIn(await this.document(response)) ?? (response.statusText || "no reason given");
    if (status === 401 || status === 403) return this.#denied(reason);
    const message = `The registry ${this.registry} answers with status ${status}: ${reason}.`;
    return new MachineError("REGISTRY_REFUSED", message, { registry: this.registry, status, reason });
  }

  #denied(reason: string): MachineError {
    const message = `The registry ${this.registry} does not let us: ${reason}.`;
    return new MachineError("REGISTRY_DENIED", message, { registry: this.registry, reason });
  }

  #unreachable(reason: string): MachineError {
    const message = `The registry ${this.registry} cannot be reached: ${reason}.`;
    return new MachineError("REGISTRY_UNREACHABLE", message, { registry: this.registry, reason });
  }

  #failure(error: unknown): MachineError {
    if (error instanceof MachineError) return error as MachineError;
    if (this.#options.signal?.aborted === true) {
      const reason = String(this.#options.signal.reason);
      return new MachineError("ABORTED", `The transfer was called off: ${reason}.`, { reason });
    }
    const { cause } = error as { readonly cause?: unknown };
    return this.#unreachable(cause instanceof Error && cause.message !== "" ? cause.message : String(error));
  }

  async #sleep(milliseconds: number): Promise<void> {
    const { signal } = this.#options;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });
    if (signal?.aborted === true) throw this.#failure(signal.reason);
  }
}

/** Whether the same may succeed a moment later. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof MachineError)) return false;
  if (error.code === "REGISTRY_UNREACHABLE") return true;
  const { status } = error.details as { readonly status?: number };
  return error.code === "REGISTRY_REFUSED" && status !== undefined && (status >= 500 || status === 429);
}

/** What an error's body says (distribution specification, "Error Codes"). */
function reasonIn(body: Uint8Array): string | undefined {
  try {
    const [first] = parseJson(body, "error of the registry").objects("errors");
    return first === undefined ? undefined : [first.text("code"), first.text("message")].filter(Boolean).join(": ");
  } catch {
    return undefined;
  }
}

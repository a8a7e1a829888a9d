/** Running other programs: quietly with a log, or in this one's place. */
import { spawn } from "node:child_process";
import { createWriteStream, existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";

/** A step that could not be done, with what the person can do about it. */
export class SetupError extends Error {
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

/** The environment of every program: our own tools first, and what cargo installs. */
export function environment(root) {
  const cargo = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin");
  const path = [join(root, "node_modules/.bin"), process.env.PATH, cargo].join(delimiter);
  return { ...process.env, PATH: path };
}

/** Whether a program of that name is on the PATH. */
export function onPath(name, env) {
  return env.PATH.split(delimiter).some((directory) => existsSync(join(directory, name)));
}

/**
 * Runs a program to its end with its output in the file `log`; each of its lines also goes to `detail`.
 * Resolves to its output. Rejects with the end of the log when it fails.
 */
export function logged(command, args, { cwd, env, log, detail = () => undefined }) {
  return new Promise((resolve, reject) => {
    mkdirSync(dirname(log), { recursive: true });
    const file = createWriteStream(log, { flags: "a" });
    file.write(`$ ${[command, ...args].join(" ")}\n`);
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const take = (chunk) => {
      output += chunk;
      file.write(chunk);
      const line = String(chunk).trimEnd().split("\n").at(-1)?.trim();
      if (line) detail(line);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("error", (error) => {
      file.end();
      reject(new SetupError(`${command} cannot be run: ${error.message}`, `Install ${command} and start again.`));
    });
    child.on("close", (code, signal) => {
      file.end();
      if (code === 0) resolve(output);
      else
        reject(
          new SetupError(
            `${tail(output)}\n${command} ended with ${signal ?? `status ${code}`}`,
            `All of its output is in ${log}.`,
          ),
        );
    });
  });
}

/**
 * Runs a program with this one's terminal or pipes; resolves to the exit status to pass on.
 * Ctrl-C reaches it from the terminal by itself, other signals are handed on.
 */
export function inPlace(command, args, { env }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: "inherit" });
    process.on("SIGINT", () => undefined);
    for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
    child.on("error", reject);
    // 128 + n is how a shell reports a signal; 15 where the number is not at hand.
    child.on("exit", (code, signal) => resolve(code ?? 128 + ({ SIGINT: 2, SIGKILL: 9, SIGHUP: 1 }[signal] ?? 15)));
  });
}

function tail(output) {
  return output.trimEnd().split("\n").slice(-25).join("\n");
}

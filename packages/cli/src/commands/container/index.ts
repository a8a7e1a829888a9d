/** The commands about containers and their images. */

import type { Command } from "commander";
import { cpCommand } from "./cp.js";
import { createCommand } from "./create.js";
import { execCommand } from "./exec.js";
import { commitCommand, diffCommand, historyCommand, inspectCommand, statsCommand } from "./inspect.js";
import {
  killCommand,
  pauseCommand,
  restartCommand,
  resumeCommand,
  rmCommand,
  stopCommand,
  waitCommand,
} from "./lifecycle.js";
import { logsCommand } from "./logs.js";
import { makeCommand } from "./make.js";
import { psCommand } from "./ps.js";
import { pullCommand, pushCommand } from "./pull.js";
import { runCommand } from "./run.js";
import { startCommand } from "./start.js";
import { volumeCommand } from "./volume.js";
import { loadCommand, rmiCommand, saveCommand, tagCommand } from "./save.js";

/** All of them; `report` gets the exit status. */
export function containerCommands(report: (status: number) => void): Command[] {
  return [
    runCommand(report),
    createCommand(),
    execCommand(report),
    cpCommand(),
    psCommand(),
    logsCommand(),
    startCommand(report),
    stopCommand(),
    restartCommand(),
    killCommand(),
    pauseCommand(),
    resumeCommand(),
    waitCommand(),
    rmCommand(),
    inspectCommand(),
    statsCommand(),
    diffCommand(),
    commitCommand(),
    historyCommand(),
    pullCommand(),
    pushCommand(),
    saveCommand(),
    loadCommand(),
    tagCommand(),
    makeCommand(),
    rmiCommand(),
    volumeCommand(),
  ];
}

#!/usr/bin/env node
// Checked in, so that npm finds something to link before anything is compiled.
import { main } from "../dist/main.js";

process.exitCode = await main(process.argv.slice(2));

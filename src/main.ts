#!/usr/bin/env node
import { PROCESS_OUTPUT } from './cli/output.ts';
import { runProgram } from './cli/program.ts';

process.exitCode = await runProgram(process.argv, process.env, PROCESS_OUTPUT);

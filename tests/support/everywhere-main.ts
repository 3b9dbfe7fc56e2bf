/** The program of everywhere.ts as a process: takes its options as JSON, and answers on a line of its own. */
import process from "node:process";
import { everywhere } from "./everywhere.ts";

console.log(`seen ${JSON.stringify(await everywhere(JSON.parse(process.argv[2]!)))}`);
process.exit(0);

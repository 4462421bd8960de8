/**
 * For `node --import`: lets worker_threads load TypeScript sources. Workers inherit this option, and tsx by itself
 * registers only in the main thread.
 */
import { isMainThread } from "node:worker_threads";
import { register } from "tsx/esm/api";

if (!isMainThread) register();

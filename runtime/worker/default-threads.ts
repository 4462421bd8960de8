/** How many threads run a model that may have several: as many as there are cores, up to four. */

/** More share the memory's bandwidth without being faster. */
const mostThreads = 4;

function coreCount(): number {
  if (typeof navigator !== "undefined") return navigator.hardwareConcurrency || 1;
  return process.getBuiltinModule("node:os").availableParallelism();
}

export const defaultThreads = (): number => Math.min(coreCount(), mostThreads);

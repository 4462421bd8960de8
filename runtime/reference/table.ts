/** Where each reference function lives: imported one by one, when a host step needs it. */
import type { Reference } from "./reference.ts";

export const references: Readonly<Record<string, () => Promise<Reference>>> = {};

/** Schedules of the pool family. */
import type { Variant } from "../contract.ts";

/** Channels side by side, eight at a time; a window is clipped once per output pixel. */
export const poolVariants: readonly Variant[] = [{ name: "channels" }];

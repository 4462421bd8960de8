/** Schedules of dynamic quantisation. */
import type { Variant } from "../contract.ts";

/** The range, scale, zero point and elements by one step. */
export const dynamicQuantizeVariants: readonly Variant[] = [{ name: "whole" }];

/** The words of a step of dynamic quantisation. */
export const dynamicQuantizeWords = ["input", "output", "scale", "zero", "elements"] as const;

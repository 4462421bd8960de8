/** Where models run and are measured, and lists of such words on the command line. */
import { closest, LeafcutterError } from "../../runtime/format/diagnostic.ts";

export const places = ["chromium", "firefox", "webkit", "node"] as const;

/** The words of a comma-separated option. Throws option-invalid for a word that is not allowed. */
export function oneOf<T extends string>(flag: string, text: string, allowed: readonly T[]): readonly T[] {
  const words = text === "" ? [] : text.split(",").map((word) => word.trim());
  for (const word of words) {
    if (allowed.some((name) => name === word)) continue;
    const nearest = closest(word, allowed);
    throw new LeafcutterError({
      code: "option-invalid",
      where: flag,
      message: `${word} is not known`,
      expected: allowed.join(", "),
      ...(nearest === undefined ? {} : { advice: `Did you mean ${nearest}?` }),
    });
  }
  return words as readonly string[] as readonly T[];
}
